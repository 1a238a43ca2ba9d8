"""People as a pure function of what was observed and decided."""
