"""The versions of ingest's tables."""
