"""A week of a small shop's life, played into a running system through its public doors."""

from gateway.cli.demo.command import demo

__all__ = ["demo"]
