"""Ingest: takes events in, keeps them in the event log, and knows the tenants and their sources."""
