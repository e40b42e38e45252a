"""Links worth adding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.terminal import twin_words as words
from jobs.terminal.reporting import table

if TYPE_CHECKING:
    from actors.twin.results import Advice


def advice(found: Advice) -> words.Shown:
    """The links, what they spare, and who was left out."""
    over = "by this failure" if found.for_failure else "over all single failures"
    if found.links:
        rows = [
            (
                f"{one.a} - {one.b}",
                "?" if one.km is None else f"{one.km:.2f}",
                "not connected" if one.hops is None else str(one.hops),
                one.removes,
                one.remaining,
                one.alternatives - 1,
            )
            for one in found.links[: words.ROWS]
        ]
        columns = (
            "between",
            "km",
            "hops apart now",
            "pairs spared",
            "pairs left",
            "as good places",
        )
        yield table(f"Links to add against pairs apart {over}", columns, rows)
        yield from words.more(len(found.links), "link")
    yield from _reach_of_links(found)
    yield f"{found.separated_pairs:,} pairs are apart {over} as it is."
    yield from _offline(found, over)
    if found.reason:
        yield f"{found.reason[:1].upper()}{found.reason[1:]}."


def _offline(found: Advice, over: str) -> words.Shown:
    """Who has no gateway, without these links and with them; nothing if no gateway is known."""
    if found.offline is None:
        return
    shown = found.links[: words.ROWS]
    then = shown[-1].offline if shown else None
    with_them = f"; with the links above: {words.people(then)}" if then is not None else ""
    yield f"Without a gateway {over}, as it is: {words.people(found.offline)}{with_them}."


def _reach_of_links(found: Advice) -> words.Shown:
    """How long the links may be, and who was left out."""
    if found.max_km is not None and found.placed:
        yield f"No link is longer than {found.max_km:g} km (--max-km)."
    elif not found.placed:
        yield "No node has a known place, so no distance is known."
    if found.unplaced:
        yield (
            f"{words.count(found.unplaced, 'node')} without a known place"
            f" {'is' if found.unplaced == 1 else 'are'} left out (--anywhere)."
        )
    if found.tunnel_ends:
        yield (
            f"{words.count(found.tunnel_ends, 'node')} that only tunnels lead to"
            f" {'is' if found.tunnel_ends == 1 else 'are'} left out (--anywhere)."
        )
