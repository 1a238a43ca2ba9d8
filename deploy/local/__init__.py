"""Touchstone on one machine: engines, edge and services, supervised."""
