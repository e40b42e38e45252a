"""The consequences of one failure, for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.terminal import twin_words as words
from jobs.terminal import which_network
from jobs.terminal.reporting import pairs, table

if TYPE_CHECKING:
    from actors.twin.results import About, Impact


def impact(about: About, found: Impact) -> words.Shown:
    """Everything about it, what matters most first."""
    failed = [*found.failed_nodes, *found.failed_links]
    what = f"What if {words.names(failed, 3)} fail{'' if len(failed) > 1 else 's'}?"
    nodes, links = len(found.failed_nodes), found.links_affected
    gone = f"{words.count(nodes, 'node')}, {words.count(links, 'link')}"
    lines = which_network.lines(about) | {"down with it": gone}
    yield pairs(what if failed else "What if nothing fails?", lines)
    for link, number in found.parallel_links.items():
        joining = f"{words.count(number, 'link')} join {link}"
        yield f"{joining}: all of them fail here; one alone parts nobody."
    yield _verdict(found)
    yield from _offline(found)
    if found.pairs_lost:
        said = {True: "yes", False: "no", None: "?"}
        rows = [
            (number, part.size, said[part.reaches_gateway], words.names(part.nodes, words.NAMES))
            for number, part in enumerate(found.components[: words.ROWS], start=1)
        ]
        yield table("Who still reaches whom", ("part", "nodes", "gateway", "which"), rows)
        yield from words.more(len(found.components), "part")
    if found.newly_isolated_nodes:
        yield f"All alone: {words.names(found.newly_isolated_nodes, words.ROWS)}."
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
            f"Of {words.count(found.loss_unknown_pairs, 'directed pair')} it is not known: their"
            " routes lead over links whose quality nobody measured."
        )
    yield from _duration(found)
    yield from _pair_impacts(found)
    if found.surviving_nodes > 1:
        yield (
            f"Then {words.count(len(found.spof_nodes), 'node')} and"
            f" {words.count(len(found.bridges), 'link')} are left"
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
        f" {words.count(len(found.components), 'part')}{before}."
    )


def _offline(found: Impact) -> words.Shown:
    """Who loses the internet by it."""
    if found.cut_off is not None and found.surviving_nodes:
        lost = found.cut_off
        yield (
            f"{words.people(lost)} {'loses' if lost.nodes == 1 and not lost.clients else 'lose'}"
            " every gateway."
            if lost.nodes
            else "No other node loses every gateway."
        )
    own = found.failing
    if own.clients:
        yield (
            f"{words.count(own.clients, 'client')} of the failed nodes themselves"
            f" {'loses its' if own.clients == 1 else 'lose their'} connection."
        )


def _overloaded(found: Impact) -> words.Shown:
    if found.newly_overloaded is None:
        return  # without traffic and capacities, which a scenario gives
    if not found.newly_overloaded:
        yield "No link gets overloaded."
        return
    rows = [
        (one.link, f"{one.before:g}", f"{one.after:g}", f"{one.capacity:g}")
        for one in found.newly_overloaded[: words.ROWS]
    ]
    yield table("Overloaded then", ("link", "load before", "load after", "capacity"), rows)
    yield from words.more(len(found.newly_overloaded), "link")


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


def _duration(found: Impact) -> words.Shown:
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


def _pair_impacts(found: Impact) -> words.Shown:
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
        for one in found.pair_impacts[: words.ROWS]
    ]
    if rows:
        columns = ("pair", "lost before", "during", "after", "hops before", "after")
        yield table("The pairs asked for", columns, rows)
        yield from words.more(len(found.pair_impacts), "pair")
