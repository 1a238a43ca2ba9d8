"""What ingest keeps in Postgres."""
