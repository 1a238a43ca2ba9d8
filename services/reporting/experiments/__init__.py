"""Experiments: what the log tells of them, and what they came to."""
