"""Reporting: facts, the rollups that are summed from them, and every figure that is read from these."""
