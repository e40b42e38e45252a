"""What may not fail, the costliest first: one thing, or two at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jobs.terminal import twin_words as words
from jobs.terminal.reporting import table

if TYPE_CHECKING:
    from actors.twin.results import DoubleFailures, SingleFailures, WorstPairs

_RANKED: Final = {
    "clients": "clients that lose every gateway",
    "nodes": "nodes that lose every gateway",
    "pairs": "pairs lost",
}


def single(found: SingleFailures) -> words.Shown:
    """Every single failure."""
    safe = found.nodes - len(found.spof_nodes)
    off = " from anybody or from the internet" if found.ranked_by != "pairs" else ""
    yield (
        f"Any one of {safe:,} of the {words.count(found.nodes, 'node')} may fail and nobody else is"
        f" cut off{off}; {len(found.spof_nodes):,} may not."
        f" Of the {words.count(found.links, 'link')}, {len(found.bridges):,} may not."
    )
    by = _RANKED[found.ranked_by]
    if found.spof_nodes:
        rows = [
            (
                one.node,
                one.degree,
                one.pairs_lost,
                f"{one.share:.1%}",
                *words.cut_off_cells(one.cut_off),
            )
            for one in found.spof_nodes[: words.ROWS]
        ]
        columns = ("node", "links", "pairs lost", "of all")
        yield table(f"The costliest nodes, by {by}", (*columns, *words.OFFLINE), rows)
        yield from words.more(len(found.spof_nodes), "node")
    if found.bridges:
        links = [
            (one.link, one.pairs_lost, f"{one.share:.1%}", *words.cut_off_cells(one.cut_off))
            for one in found.bridges[: words.ROWS]
        ]
        columns_of_links = ("link", "pairs lost", "of all", *words.OFFLINE)
        yield table(f"The costliest links, by {by}", columns_of_links, links)
        yield from words.more(len(found.bridges), "link")
    if found.components > 1:
        yield f"The mesh is in {found.components:,} parts as it is."
    elif found.node_connectivity is not None:
        least = words.count(found.node_connectivity, "node")
        yield f"It takes the failure of at least {least} to split the mesh."


def double(found: DoubleFailures) -> words.Shown:
    """What two cost together that neither costs alone."""
    yield (
        f"{words.count(found.node_pairs, 'pair')} of nodes, {found.link_pairs:,} of links and"
        f" {found.node_and_link_pairs:,} of a node and a link must not fail together: below is what"
        " both cost beyond what each does alone."
    )
    by = _RANKED[found.ranked_by]
    for what, ranked, count in (
        ("two nodes", found.nodes, found.node_pairs),
        ("two links", found.links, found.link_pairs),
        ("a node and a link", found.nodes_with_links, found.node_and_link_pairs),
    ):
        rows = [
            (one.a, one.b, one.pairs_lost, *words.cut_off_cells(one.cut_off))
            for one in ranked[: words.ROWS]
        ]
        if rows:
            columns = ("this one", "and", "pairs lost", *words.OFFLINE)
            yield table(f"The costliest together, {what}, by {by}", columns, rows)
        if count > len(rows):
            kept = f", of which --json has {len(ranked):,}" if len(ranked) > words.ROWS else ""
            yield f"and {words.count(count - len(rows), 'pair')} more{kept}"


def worst_pairs(found: WorstPairs) -> words.Shown:
    """The costliest pairs of nodes."""
    rows = [
        (one.a, one.b, one.pairs_lost, *(f"{alone:,}" for alone in one.pairs_lost_alone))
        for one in found.pairs[: words.ROWS]
    ]
    columns = ("node", "and", "pairs lost", "the first alone", "the second alone")
    yield table("The costliest pairs of nodes", columns, rows)
    yield from words.more(len(found.pairs), "pair")
    if not found.exhaustive:
        yield f"Of pairs with one of the {found.partners:,} costliest nodes: not all were tried."
