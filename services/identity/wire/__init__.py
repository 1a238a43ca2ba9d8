"""Protobuf to people and back."""
