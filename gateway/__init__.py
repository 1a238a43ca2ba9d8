"""Touchstone's doors to the outside."""
