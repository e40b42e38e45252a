"""Which network something is said of, where it is known from, and what is lacking of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Network(StrEnum):
    """The networks that one can ask about."""

    OBSERVED = "observed"  # a real one, as sources tell of it; nothing is changed on it
    EMULATED = "emulated"  # the laboratory: every node runs here
    MAP = "map"  # a document, read for one question


@dataclass(frozen=True, slots=True)
class Provenance:
    """What is known of a network besides the network.

    Attributes:
        network: which one it is.
        source: where it is known from, without credentials.
        left_out: number of records of its sources that were left out, by reason.
        warnings: sentences on what is lacking, old or odd.
        age_s: age of the oldest thing that counts as current, s; None: it has no age.
    """

    network: Network
    source: str
    left_out: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    age_s: float | None = None
