"""Protobuf's JSON, strict in what it takes and steady in what it gives."""
