"""Decisions about orders, touches and credit: pure functions of values."""
