"""The design that this project decided against: one Ray actor, hence one process, for each node."""

from __future__ import annotations


class LoneActor:
    """A node that does nothing: what it takes is what any actor takes."""
