"""What a load on the mesh showed, and what that says."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Final

import psutil

from loadtests import payload
from loadtests.benchmark import Findings, Table
from loadtests.mesh_load import WARM_UP_S, thirds_mib
from loadtests.open_loop import percentiles_ms
from loadtests.spread import finite, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.mesh_load import InjectedFailure, Ran
    from serve_apps.settings import Settings

TITLE: Final = "Messages through the mesh"
_METHOD: Final = """\
Topology {topology}: {nodes} nodes, {links} links, {shards} shards (one process each), journals \
on, Hello every {hello:g} s. Distinct messages of {size} bytes, each with its own serial number \
and words derived from it, between {pairs:,} pairs of nodes whose shortest route has at least \
{min_hops} hops, forwarded hop by hop over emulated links with measured loss. {offered} \
{workers} further processes send and receive through the client; every message is checked whole on \
arrival, acknowledged, and accounted by the mesh's own id and by its serial number. \
{warm:g} s of warm-up, then {seconds:g} s measured, then drained; latency runs from the scheduled \
time of sending to the receiving application. All on one machine."""
_OPEN: Final = "Open loop at {rate:,.0f} messages/s."
_MAX: Final = (
    "As fast as the mesh takes them, up to {window:,} under way per shard, {batch:,} in a call."
)


def values(ran: Ran, flags: Sequence[str]) -> dict[str, object]:
    """Everything, for JSON."""
    load, account = ran.load, ran.account
    p50, p95, p99 = percentiles_ms(ran.latency())
    delivered_per_s = ran.delivered_per_s
    first, last = thirds_mib(ran.sampled.shard_private)
    found: dict[str, object] = {
        "rate": load.rate if load.rate is not None else "max",
        "seconds": round(ran.seconds, 3),
        "nodes": ran.nodes,
        "links": ran.links,
        "pairs": ran.pairs,
        "min_hops": load.min_hops,
        "payload_bytes": payload.SIZE,
        "delivered_per_s": round(delivered_per_s, 1),
        "hop_messages_per_s": round(delivered_per_s * ran.hops_mean, 1),
        "hops_mean": round(ran.hops_mean, 3),
        "fewer_hops_than_asked": int(ran.totals["too_near"]),
        "processes": ran.shards,
        "load_processes": load.workers or ran.shards,
        "sent": int(ran.totals["sent"]),
        "accepted": account.accepted,
        "refused": ran.refused,
        "refused_silent": int(ran.totals["silent"]),
        "delivered": account.delivered,
        "returned": account.returned,
        "lost_accepted": account.lost,
        "duplicates": account.duplicates,
        "corrupt": int(ran.totals["corrupt"] + ran.totals["misdelivered"]),
        "never_accepted": account.stray,
        "p50_ms": _ms(p50),
        "p95_ms": _ms(p95),
        "p99_ms": _ms(p99),
        "late_sends": int(ran.totals["late"]),
        "batch_mean": round(ran.totals["sent"] / max(1.0, ran.totals["calls"]), 1),
        "cpu_cores": round(sum(ran.cpu.values()), 3),
        "cpu_by_process": {name: round(cores, 3) for name, cores in ran.cpu.items()},
        "cpu_machine": round(ran.busy, 3),
        "cpu_stolen": round(ran.stolen, 3),
        "memory_first_third_mib": round(first, 1),
        "memory_last_third_mib": round(last, 1),
        "drained_s": round(ran.drained_s, 3),
        "flags": list(flags),
        "journal": True,
    }
    if ran.failure is not None:
        outside = percentiles_ms(ran.latency(outside=True))
        found["failure"] = {
            "node": ran.failure.node,
            "at_s": round(ran.failure.at - ran.start, 3),
            "convergence_bound_s": round(ran.failure.bound_s, 3),
            "p95_outside_ms": _ms(outside[1]),
            "p99_outside_ms": _ms(outside[2]),
        }
    return found


def shortcomings(ran: Ran) -> list[str]:
    """What must never happen and did."""
    account, totals = ran.account, ran.totals
    counts = {
        "accepted messages lost": account.lost,
        "delivered more than once": account.duplicates,
        "altered": int(totals["corrupt"]),
        "delivered to another node": int(totals["misdelivered"]),
        "never accepted but heard of": account.stray,
    }
    if ran.failure is None:
        counts["returned although nothing failed"] = account.returned
    return [f"{count:,} {what}" for what, count in counts.items() if count]


def limits(ran: Ran) -> str:
    """What limited a load: where the processors' time went, all of it and for each message."""
    cores = psutil.cpu_count() or 1
    offered_per_s = max(1.0, ran.sent_per_s)
    own = sum(ran.cpu.values())
    used = ", ".join(f"{name} {shown(each)}" for name, each in ran.cpu.items())
    spent = ", ".join(
        f"{shown(1e6 * ran.cpu[name] / offered_per_s)} µs in {where}"
        for name, where in (("shards", "the shards"), ("load", "the processes of the load"))
    )
    others = max(0.0, ran.busy - own)
    return (
        f"Of {cores} cores {shown(own)} were used ({used}), {shown(others)} by other programs,"
        f" {shown(ran.stolen)} withheld by the machine's host, and"
        f" {shown(max(0.0, cores - own - others - ran.stolen))} idle. A message that was offered"
        f" took {spent}; a call carried"
        f" {shown(ran.totals['sent'] / max(1.0, ran.totals['calls']))} of them."
    )


def found(ran: Ran, settings: Settings, flags: Sequence[str]) -> Findings:
    """The section of RESULTS.md about one load.

    Args:
        ran: the load.
        settings: settings of the mesh.
        flags: names of the switches that were on.
    """
    figures, load = values(ran, flags), ran.load
    if load.rate is None:
        slug, title = "mesh-max", "as many as it takes"
        offered = _MAX.format(window=load.window, batch=load.batch)
    else:
        slug, title = f"mesh-{load.rate:.0f}", f"{load.rate:,.0f} a second"
        offered = _OPEN.format(rate=load.rate)
    method = _METHOD.format(
        topology=PurePath(settings.topology).name,
        nodes=ran.nodes,
        links=ran.links,
        shards=ran.shards,
        hello=settings.hello_s,
        size=payload.SIZE,
        pairs=ran.pairs,
        min_hops=load.min_hops,
        offered=offered,
        workers=load.workers or ran.shards,
        warm=WARM_UP_S,
        seconds=load.seconds,
    )
    or_returned = " or returned" if ran.failure else ""
    return Findings(
        method=method,
        tables=[_table(figures)],
        findings=[
            f"What limits it: {limits(ran)}",
            f"Flags on: {', '.join(flags) or 'none'}.",
            *([_failing(ran, ran.failure)] if ran.failure else []),
        ],
        values=figures,
        shortcomings=shortcomings(ran),
        kept=f"Every accepted message was delivered exactly once{or_returned}, unaltered.",
        slug=slug + ("-failing" if load.fail_node else ""),
        title=f"{TITLE}: {title}" + (", a node failing" if load.fail_node else ""),
    )


def _table(found: dict[str, object]) -> Table:
    columns = {
        "delivered/s": "delivered_per_s",
        "hop-messages/s": "hop_messages_per_s",
        "hops": "hops_mean",
        "p50, ms": "p50_ms",
        "p95, ms": "p95_ms",
        "p99, ms": "p99_ms",
        "accepted": "accepted",
        "refused": "refused",
        "returned": "returned",
        "lost": "lost_accepted",
        "twice": "duplicates",
        "corrupt": "corrupt",
        "late sends": "late_sends",
        "batch": "batch_mean",
        "cores": "cpu_cores",
    }
    return Table(list(columns), [[_cell(found[name]) for name in columns.values()]])


def _failing(ran: Ran, failure: InjectedFailure) -> str:
    p95, p99 = percentiles_ms(ran.latency(outside=True))[1:]
    return (
        f"Node {failure.node} fell silent {failure.at - ran.start:.1f} s into the measurement;"
        f" outside of the {failure.bound_s:.2f} s in which the mesh must converge, p95 was"
        f" {shown(p95)} ms and p99 {shown(p99)} ms; {ran.account.returned:,} messages came back as"
        f" unreachable, {int(ran.totals['silent']):,} were refused because their source had failed."
    )


def _ms(value: float) -> float | None:
    known = finite(value)
    return None if known is None else round(known, 3)


def _cell(value: object) -> str:
    return shown(float(value)) if isinstance(value, int | float) else "none"
