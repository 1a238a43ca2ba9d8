"""How Touchstone is put on machines."""
