"""The `touchstone` command line: a client of the running system."""
