"""A reply of the twin in words and tables, what matters most first; `--json` has all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.twin import named
from jobs.terminal import which_network
from jobs.terminal.reporting import pairs, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from actors.twin.results import (
        About,
        Advice,
        Availability,
        Cascade,
        DoubleFailures,
        Impact,
        InternetAccess,
        Interval,
        NodesAndClients,
        RandomCascades,
        RandomFailures,
        Reply,
        SingleFailures,
        WorstPairs,
    )
    from actors.twin.scenario import Reliability, Scenario

    Shown = Iterator[RenderableType | str]

ROWS: Final = 12  # of a table
NAMES: Final = 6  # of a list
_OFFLINE: Final = ("nodes offline", "clients offline")  # columns: who loses every gateway
_RANKED: Final = {
    "clients": "clients that lose every gateway",
    "nodes": "nodes that lose every gateway",
    "pairs": "pairs lost",
}


def readable(scenario: Scenario, reply: Reply) -> list[RenderableType | str]:
    """Everything that was asked, in the order in which a person wants to know it."""
    found = named.labelled(reply.answer, reply.names)
    shown: list[RenderableType | str] = []
    if found.impact is not None:
        shown += _impact(reply.about, found.impact)
    else:
        title = scenario.name or "The digital twin"
        shown.append(pairs(title, which_network.lines(reply.about)))
    shown.append(_internet(found.internet))
    if found.cascade is not None:
        shown += _cascade(found.cascade)
    if found.single_failures is not None:
        shown += _single(found.single_failures)
    if found.double_failures is not None:
        shown += _double(found.double_failures)
    if found.worst_pairs is not None:
        shown += _worst_pairs(found.worst_pairs)
    if found.random_failures is not None:
        shown += _random(found.random_failures)
    if found.random_cascades is not None:
        shown += _random_cascades(found.random_cascades)
    if found.availability is not None and scenario.availability is not None:
        shown += _availability(scenario.availability, found.availability)
    if found.advice is not None:
        shown += _advice(found.advice)
    return shown


def _internet(found: InternetAccess | None) -> str:
    """Who reaches a gateway while nothing has failed."""
    if found is None:
        return "No gateway is known, so who loses the internet is not; name them with --gateway."
    named = "named here" if found.given else "of the map"
    which = _names(found.gateways, NAMES)
    one = len(found.gateways) == 1
    return (
        f"{_people(found.reaching)} {'reaches' if found.reaching.nodes == 1 else 'reach'} a gateway"
        f" while nothing has failed. {'The gateway' if one else 'The gateways'} {named}: {which}."
    )


def _people(found: NodesAndClients) -> str:
    """Nodes and their clients; of how many nodes these are known, where it is not of all."""
    nodes = _count(found.nodes, "node")
    if found.clients is None:
        return f"{nodes} (of none of them is it known how many clients it has)"
    said = f"{nodes} and {_count(found.clients, 'client')}"
    if found.clients_known < found.nodes:
        said += f" (known of {found.clients_known:,} of these nodes)"
    return said


def _clients(found: NodesAndClients) -> str:
    """Clients in a table; `?` where of some nodes they are not known."""
    if found.clients is None:
        return "?"
    return f"{found.clients:,}" + ("+?" if found.clients_known < found.nodes else "")


def _impact(about: About, found: Impact) -> Shown:
    failed = [*found.failed_nodes, *found.failed_links]
    what = f"What if {_names(failed, 3)} fail{'' if len(failed) > 1 else 's'}?"
    gone = f"{_count(len(found.failed_nodes), 'node')}, {_count(found.links_affected, 'link')}"
    lines = which_network.lines(about) | {"down with it": gone}
    yield pairs(what if failed else "What if nothing fails?", lines)
    for link, count in found.parallel_links.items():
        yield f"{_count(count, 'link')} join {link}: all of them fail here; one alone parts nobody."
    yield _verdict(found)
    yield from _offline(found)
    if found.pairs_lost:
        said = {True: "yes", False: "no", None: "?"}
        rows = [
            (number, part.size, said[part.reaches_gateway], _names(part.nodes, NAMES))
            for number, part in enumerate(found.components[:ROWS], start=1)
        ]
        yield table("Who still reaches whom", ("part", "nodes", "gateway", "which"), rows)
        yield from _more(len(found.components), "part")
    if found.newly_isolated_nodes:
        yield f"All alone: {_names(found.newly_isolated_nodes, ROWS)}."
    yield from _overloaded(found)
    if found.loss is not None:
        loss = found.loss
        rows_of_loss = [(f"{loss.before:.1%}", f"{loss.during:.1%}", f"{loss.after:.1%}")]
        columns = ("before", "until routes have changed", "after")
        yield table("Messages lost between the others", columns, rows_of_loss)
        yield _about_loss(found)
    elif found.loss_unknown_pairs:
        yield "Messages lost between the others: not known, as the quality of links is not."
    if found.loss_unknown_pairs:
        yield (
            f"Of {_count(found.loss_unknown_pairs, 'directed pair')} it is not known: their routes"
            " lead over links whose quality nobody measured."
        )
    yield from _duration(found)
    yield from _pair_impacts(found)
    if found.surviving_nodes > 1:
        yield (
            f"Then {_count(len(found.spof_nodes), 'node')} and"
            f" {_count(len(found.bridges), 'link')} are left"
            " whose failure would each cut off more."
        )


def _verdict(found: Impact) -> str:
    if found.surviving_nodes == 0:
        return "Everything fails: nobody is left to be cut off."
    before = ""
    if found.components_before > 1:
        before = f" (it was in {found.components_before:,} parts before)"
    if not found.pairs_lost:
        return f"Nobody else is cut off from anybody{before}."
    share = found.pairs_lost / found.pairs_connected_before
    return (
        f"{found.pairs_lost:,} of {found.pairs_connected_before:,} connected pairs of other nodes"
        f" lose each other ({share:.1%}): the mesh falls into"
        f" {_count(len(found.components), 'part')}{before}."
    )


def _offline(found: Impact) -> Shown:
    """Who loses the internet by it."""
    if found.cut_off is not None and found.surviving_nodes:
        lost = found.cut_off
        yield (
            f"{_people(lost)} {'loses' if lost.nodes == 1 and not lost.clients else 'lose'}"
            " every gateway."
            if lost.nodes
            else "No other node loses every gateway."
        )
    own = found.failing
    if own.clients:
        yield (
            f"{_count(own.clients, 'client')} of the failed nodes themselves"
            f" {'loses its' if own.clients == 1 else 'lose their'} connection."
        )


def _overloaded(found: Impact) -> Shown:
    if found.newly_overloaded is None:
        return  # without traffic and capacities, which a scenario gives
    if not found.newly_overloaded:
        yield "No link gets overloaded."
        return
    rows = [
        (one.link, f"{one.before:g}", f"{one.after:g}", f"{one.capacity:g}")
        for one in found.newly_overloaded[:ROWS]
    ]
    yield table("Overloaded then", ("link", "load before", "load after", "capacity"), rows)
    yield from _more(len(found.newly_overloaded), "link")


def _about_loss(found: Impact) -> str:
    loss, stretch = found.loss, found.stretch
    assert loss is not None  # noqa: S101 - by the caller
    weighed = "by traffic" if loss.traffic_weighted else "every pair alike"
    said = f"Means over {loss.pairs:,} directed pairs, {weighed}, {loss.retries} retries a hop"
    said += "; only some destinations of so large a mesh." if loss.sampled else "."
    if stretch.longer_pairs and stretch.cost_mean is not None and stretch.cost_max is not None:
        said += (
            f" {stretch.longer_pairs:,} of them get a longer route; routes are"
            f" {stretch.cost_mean:.2f} times as long in the mean, {stretch.cost_max:.2f} at most."
        )
    return said


def _duration(found: Impact) -> Shown:
    recovery = found.recovery
    if (
        recovery.mttd_s is None
        or recovery.mttr_s is None
        or recovery.detection_bound_s is None
        or recovery.convergence_bound_s is None
    ):
        return  # nobody has anything to notice
    rows = [
        ("first notice", f"{recovery.mttd_s:.2f} s", f"{recovery.detection_bound_s:.2f} s"),
        (
            "all routes whole again",
            f"{recovery.mttr_s:.2f} s",
            f"{recovery.convergence_bound_s:.2f} s",
        ),
    ]
    yield table("How long it takes, if silent", ("", "in the mean", "at most"), rows)
    yield (
        f"By missing Hellos alone, one every {recovery.hello_s:g} s; traffic that stays"
        " unacknowledged betrays it sooner."
    )


def _pair_impacts(found: Impact) -> Shown:
    def share(value: float | None, *, unknown: bool) -> str:
        return f"{value:.1%}" if value is not None else "not known" if unknown else "-"

    def hops(value: int | None) -> str:
        return "none" if value is None else str(value)

    rows = [
        (
            f"{one.source} > {one.destination}",
            *(
                share(loss, unknown=one.loss_unknown)
                for loss in (one.loss_before, one.loss_during, one.loss_after)
            ),
            *(hops(one.hops_before), hops(one.hops_after)),
        )
        for one in found.pair_impacts[:ROWS]
    ]
    if rows:
        columns = ("pair", "lost before", "during", "after", "hops before", "after")
        yield table("The pairs asked for", columns, rows)
        yield from _more(len(found.pair_impacts), "pair")


def _cascade(found: Cascade) -> Shown:
    rows = [
        (number, one.pairs_lost, _names(one.overloaded, NAMES) or "none")
        for number, one in enumerate(found.rounds[:ROWS])
    ]
    yield table("The cascade", ("round", "pairs lost by then", "links overloaded by it"), rows)
    yield from _more(len(found.rounds), "round")
    ending = "It settles" if found.settled else "It was cut short"
    yield (
        f"{ending} after {_count(found.links_failed, 'link')} failed by overload:"
        f" {found.pairs_lost:,} pairs lost ({found.share_lost:.1%})."
    )


def _single(found: SingleFailures) -> Shown:
    safe = found.nodes - len(found.spof_nodes)
    off = " from anybody or from the internet" if found.ranked_by != "pairs" else ""
    yield (
        f"Any one of {safe:,} of the {_count(found.nodes, 'node')} may fail and nobody else is"
        f" cut off{off}; {len(found.spof_nodes):,} may not. Of the {_count(found.links, 'link')},"
        f" {len(found.bridges):,} may not."
    )
    by = _RANKED[found.ranked_by]
    if found.spof_nodes:
        rows = [
            (one.node, one.degree, one.pairs_lost, f"{one.share:.1%}", *_cut_off(one.cut_off))
            for one in found.spof_nodes[:ROWS]
        ]
        columns = ("node", "links", "pairs lost", "of all")
        yield table(f"The costliest nodes, by {by}", (*columns, *_OFFLINE), rows)
        yield from _more(len(found.spof_nodes), "node")
    if found.bridges:
        links = [
            (one.link, one.pairs_lost, f"{one.share:.1%}", *_cut_off(one.cut_off))
            for one in found.bridges[:ROWS]
        ]
        columns_of_links = ("link", "pairs lost", "of all", *_OFFLINE)
        yield table(f"The costliest links, by {by}", columns_of_links, links)
        yield from _more(len(found.bridges), "link")
    if found.components > 1:
        yield f"The mesh is in {found.components:,} parts as it is."
    elif found.node_connectivity is not None:
        least = _count(found.node_connectivity, "node")
        yield f"It takes the failure of at least {least} to split the mesh."


def _double(found: DoubleFailures) -> Shown:
    """What two cost together that neither costs alone."""
    yield (
        f"{_count(found.node_pairs, 'pair')} of nodes, {found.link_pairs:,} of links and"
        f" {found.node_and_link_pairs:,} of a node and a link must not fail together: below is what"
        " both cost beyond what each does alone."
    )
    by = _RANKED[found.ranked_by]
    for what, ranked, count in (
        ("two nodes", found.nodes, found.node_pairs),
        ("two links", found.links, found.link_pairs),
        ("a node and a link", found.nodes_with_links, found.node_and_link_pairs),
    ):
        rows = [(one.a, one.b, one.pairs_lost, *_cut_off(one.cut_off)) for one in ranked[:ROWS]]
        if rows:
            columns = ("this one", "and", "pairs lost", *_OFFLINE)
            yield table(f"The costliest together, {what}, by {by}", columns, rows)
        if count > len(rows):
            kept = f", of which --json has {len(ranked):,}" if len(ranked) > ROWS else ""
            yield f"and {_count(count - len(rows), 'pair')} more{kept}"


def _cut_off(found: NodesAndClients | None) -> tuple[str, str]:
    """Two cells: nodes and clients that lose every gateway."""
    return ("?", "?") if found is None else (f"{found.nodes:,}", _clients(found))


def _worst_pairs(found: WorstPairs) -> Shown:
    rows = [
        (one.a, one.b, one.pairs_lost, *(f"{alone:,}" for alone in one.pairs_lost_alone))
        for one in found.pairs[:ROWS]
    ]
    columns = ("node", "and", "pairs lost", "the first alone", "the second alone")
    yield table("The costliest pairs of nodes", columns, rows)
    yield from _more(len(found.pairs), "pair")
    if not found.exhaustive:
        yield f"Of pairs with one of the {found.partners:,} costliest nodes: not all were tried."


def _random(found: RandomFailures) -> Shown:
    rows = [
        _interval("pairs lost", found.pairs_lost),
        _interval("of those that were connected", found.share_lost, percent=True),
        _interval("nobody else is cut off", found.connectivity_maintained, percent=True),
        _interval("nodes left all alone", found.isolated_nodes),
    ]
    title = (
        f"{found.pairs_lost.samples:,} random failures of {found.k} {found.of} (seed {found.seed})"
    )
    yield table(title, _columns(found.pairs_lost), rows)
    yield (
        f"The costliest of them lost {found.worst_pairs_lost:,} pairs:"
        f" {_names(found.worst_failed, ROWS) or 'nothing'}."
    )


def _random_cascades(found: RandomCascades) -> Shown:
    rows = [
        _interval("a link is overloaded", found.spreads, percent=True),
        _interval("links overloaded", found.links_overloaded),
        _interval("pairs lost", found.pairs_lost),
        _interval("of those that were connected", found.share_lost, percent=True),
    ]
    yield table("What these set off by overload", _columns(found.spreads), rows)
    if found.unsettled:
        yield f"{found.unsettled:,} cascades were cut short."


def _availability(asked: Reliability, found: Availability) -> Shown:
    rows = [
        _chance("everything is up and connected", found.whole),
        _chance("those that are up are connected", found.survivors_connected),
        _chance("share of pairs that are connected", found.pair_share),
    ]
    rows += [_chance(f"{one.a} reaches {one.b}", one.availability) for one in found.pairs[:ROWS]]
    exact = found.method == "enumeration"
    how = "all states" if exact else f"{found.samples:,} states drawn, seed {found.seed}"
    yield table(f"Availability ({how})", ("at a random moment", "chance", "from", "to"), rows)
    yield from _more(len(found.pairs), "pair")
    each = [
        f"each {kind} works {times.mtbf:g} between failures and takes {times.mttr:g} to repair"
        for kind, times in (("node", asked.node), ("link", asked.link))
        if times is not None
    ]
    if each:
        yield f"Assumed: {'; '.join(each)} (MTBF and MTTR, in one unit)."


def _advice(found: Advice) -> Shown:
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
            for one in found.links[:ROWS]
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
        yield from _more(len(found.links), "link")
    yield from _reach_of_links(found)
    yield f"{found.separated_pairs:,} pairs are apart {over} as it is."
    if found.reason:
        yield f"{found.reason[:1].upper()}{found.reason[1:]}."


def _reach_of_links(found: Advice) -> Shown:
    """How long the links may be, and who was left out."""
    if found.max_km is not None and found.placed:
        yield f"No link is longer than {found.max_km:g} km (--max-km)."
    elif not found.placed:
        yield "No node has a known place, so no distance is known."
    if found.unplaced:
        yield (
            f"{_count(found.unplaced, 'node')} without a known place"
            f" {'is' if found.unplaced == 1 else 'are'} left out (--anywhere)."
        )
    if found.tunnel_ends:
        yield (
            f"{_count(found.tunnel_ends, 'node')} that only tunnels lead to"
            f" {'is' if found.tunnel_ends == 1 else 'are'} left out (--anywhere)."
        )


def _columns(found: Interval) -> tuple[str, ...]:
    return ("", "mean", f"{found.confidence:.0%} from", "to")


def _interval(what: str, found: Interval, *, percent: bool = False) -> tuple[str, ...]:
    shown = [found.mean, found.low, found.high]
    return (what, *(f"{value:.2%}" if percent else f"{value:,.2f}" for value in shown))


def _chance(what: str, found: Interval) -> tuple[str, ...]:
    return (what, *(f"{value:.6f}" for value in (found.mean, found.low, found.high)))


def _names(names: Sequence[str], most: int) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _more(count: int, what: str) -> Shown:
    """Say how many rows a table leaves out."""
    if count > ROWS:
        yield f"and {_count(count - ROWS, what)} more, which --json has"
