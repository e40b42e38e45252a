"""How much inference takes at once: sizes, counts, rates, and requests under way."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one inference process."""

    body_bytes: int = 32 * 2**20
    in_flight: int = 256  # requests under way
    explanations: int = 8  # that are made or wait
    nodes: int = 20_000  # of one request
    links: int = 100_000
    numbers: int = 2_000_000  # measured values of one request
    batch_nodes: int = 20_000  # that are scored together
    requests_per_s: float = 1_000.0
    burst: int = 1_000
