"""What chance brings: random failures, what they set off by overload, and availability."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.terminal import twin_words as words
from jobs.terminal.reporting import table

if TYPE_CHECKING:
    from actors.twin.results import (
        Availability,
        Cascade,
        Interval,
        RandomCascades,
        RandomCutOff,
        RandomFailures,
    )
    from actors.twin.scenario import Reliability


def cascade(found: Cascade) -> words.Shown:
    """What follows when links that carry more than they can fail in turn."""
    rows = [
        (
            number,
            one.pairs_lost,
            *words.cut_off_cells(one.cut_off),
            words.names(one.overloaded, words.NAMES) or "none",
        )
        for number, one in enumerate(found.rounds[: words.ROWS])
    ]
    columns = ("round", "pairs lost by then", *words.OFFLINE, "links overloaded by it")
    yield table("The cascade", columns, rows)
    yield from words.more(len(found.rounds), "round")
    ending = "It settles" if found.settled else "It was cut short"
    yield (
        f"{ending} after {words.count(found.links_failed, 'link')} failed by overload:"
        f" {found.pairs_lost:,} pairs lost ({found.share_lost:.1%})."
    )
    if found.cut_off is not None:
        lose = "loses" if found.cut_off.nodes == 1 and not found.cut_off.clients else "lose"
        yield f"In the end, {words.people(found.cut_off)} {lose} every gateway."


def random_failures(found: RandomFailures) -> words.Shown:
    """What random failed sets cost."""
    rows = [
        _interval("pairs lost", found.pairs_lost),
        _interval("of those that were connected", found.share_lost, percent=True),
        _interval("nobody else is cut off", found.connectivity_maintained, percent=True),
        _interval("nodes left all alone", found.isolated_nodes),
        *_offline(found.cut_off),
    ]
    title = (
        f"{found.pairs_lost.samples:,} random failures of {found.k} {found.of} (seed {found.seed})"
    )
    yield table(title, _columns(found.pairs_lost), rows)
    yield (
        f"The costliest of them lost {found.worst_pairs_lost:,} pairs:"
        f" {words.names(found.worst_failed, words.ROWS) or 'nothing'}."
    )
    yield from _most_offline(found.cut_off)


def _offline(found: RandomCutOff | None) -> list[tuple[str, ...]]:
    """Rows about who loses every gateway; none if no gateway is known."""
    if found is None:
        return []
    rows = [
        _interval("nobody else loses every gateway", found.nobody, percent=True),
        _interval("nodes that lose every gateway", found.nodes),
    ]
    if found.clients is None:
        return [*rows, ("clients that do", "not known", "", "")]
    return [*rows, _interval("clients that do, where known", found.clients)]


def _most_offline(found: RandomCutOff | None) -> words.Shown:
    if found is not None and found.most.nodes:
        yield (
            f"Most people by one of them: {words.people(found.most)} without a gateway, by"
            f" {words.names(found.most_failed, words.ROWS)}."
        )


def random_cascades(found: RandomCascades) -> words.Shown:
    """What random failed sets set off by overload."""
    rows = [
        _interval("a link is overloaded", found.spreads, percent=True),
        _interval("links overloaded", found.links_overloaded),
        _interval("pairs lost", found.pairs_lost),
        _interval("of those that were connected", found.share_lost, percent=True),
        *_offline(found.cut_off),
    ]
    yield table("What these set off by overload", _columns(found.spreads), rows)
    if found.unsettled:
        yield f"{found.unsettled:,} cascades were cut short."


def availability(asked: Reliability, found: Availability) -> words.Shown:
    """How likely the mesh works, and how likely people have the internet."""
    rows = [
        _chance("everything is up and connected", found.whole),
        _chance("those that are up are connected", found.survivors_connected),
        _chance("share of pairs that are connected", found.pair_share),
    ]
    if found.internet is not None:
        rows += [
            _chance("everybody with a gateway has it", found.internet.everybody),
            _chance("share of these nodes that have", found.internet.nodes),
        ]
        if found.internet.clients is not None:
            rows.append(_chance("share of their clients that have", found.internet.clients))
    rows += [
        _chance(f"{one.a} reaches {one.b}", one.availability) for one in found.pairs[: words.ROWS]
    ]
    exact = found.method == "enumeration"
    how = "all states" if exact else f"{found.samples:,} states drawn, seed {found.seed}"
    yield table(f"Availability ({how})", ("at a random moment", "chance", "from", "to"), rows)
    yield from words.more(len(found.pairs), "pair")
    each = [
        f"each {kind} works {times.mtbf:g} between failures and takes {times.mttr:g} to repair"
        for kind, times in (("node", asked.node), ("link", asked.link))
        if times is not None
    ]
    if each:
        yield f"Assumed: {'; '.join(each)} (MTBF and MTTR, in one unit)."


def _columns(found: Interval) -> tuple[str, ...]:
    return ("", "mean", f"{found.confidence:.0%} from", "to")


def _interval(what: str, found: Interval, *, percent: bool = False) -> tuple[str, ...]:
    shown = [found.mean, found.low, found.high]
    return (what, *(f"{value:.2%}" if percent else f"{value:,.2f}" for value in shown))


def _chance(what: str, found: Interval) -> tuple[str, ...]:
    return (what, *(f"{value:.6f}" for value in (found.mean, found.low, found.high)))
