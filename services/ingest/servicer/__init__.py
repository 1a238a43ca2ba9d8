"""The RPCs that ingest answers."""
