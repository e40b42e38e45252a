"""Which network a reply is about, and what is lacking of it, in lines of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.topology.provenance import Network

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.twin.results import About

_WHICH: Final = {
    Network.EMULATED: "the emulated mesh, as its nodes know it now",
    Network.OBSERVED: "the real network, as it was observed last",
    Network.MAP: "a map",
}


def lines(about: About) -> dict[str, object]:
    """Which network it was; what its sources left out, how old they are, and what to know."""
    found: dict[str, object] = {"network": _which(about)}
    if about.left_out:
        found["left out"] = counted(about.left_out)
    if about.source_age_s is not None:
        found["age"] = age(about.source_age_s)
    if about.warnings:
        found["warnings"] = "; ".join(about.warnings)
    return found


def _which(about: About) -> str:
    down = f" up and {about.links_down:,} down" if about.links_down else ""
    size = f"{about.nodes:,} nodes, {about.links:,} links{down}"
    return f"{_WHICH[Network(about.network)]}: {size} ({about.source})"


def counted(left_out: Mapping[str, int]) -> str:
    """What was left out, in words."""
    return ", ".join(f"{count:,} {why}" for why, count in left_out.items() if count) or "nothing"


def age(seconds: float | None) -> str:
    """An age in the largest unit that it has two of."""
    if seconds is None:
        return "not known"
    for unit, length in (("days", 86_400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
