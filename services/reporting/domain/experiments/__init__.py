"""Experiments: who is assigned to what, who was exposed, and what it came to."""
