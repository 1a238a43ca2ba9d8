"""What ingest decides, from values alone."""
