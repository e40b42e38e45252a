"""The section of RESULTS.md about the gateway."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from actors.runtime.lag import PROBE_S
from loadtests import locust_run, payload
from loadtests.crowd import PATHS, WAVE_S
from loadtests.gateway_figures import values
from loadtests.gateway_load import OPEN_LOOP_PART
from loadtests.open_loop import percentiles_ms
from loadtests.results import Outcome, Table
from loadtests.spread import Spread, shown

if TYPE_CHECKING:
    from collections import Counter

    from actors.runtime.settings import Settings
    from loadtests.gateway_figures import Found
    from loadtests.machine import Provenance

_TITLES: Final = {
    "single": "POST /v1/mesh/messages, one message (JSON)",
    "batch": "POST /v1/mesh/messages, {batch:,} messages (msgpack)",
    "route": "GET /v1/mesh/routes/SOURCE/DESTINATION",
}
_KINDS: Final = {False: "together", True: "the gateway first"}
_METHOD: Final = """\
Topology {topology}: {nodes} nodes, {links} links, {shards} shards, journals on. Messages of \
{size} bytes between {pairs:,} pairs of nodes at least {min_hops} hops apart. HAProxy, one \
replica. The bare handler is a FastAPI application that reads the body and answers with a \
constant, as another application of the same Serve with the gateway's own settings, and gets the \
same requests. Gateway and bare handler in turns, {rounds} rounds of {seconds:g} s each, closed \
loop with {callers} connections ({batch_callers} for batches); the ratio is that of the medians, \
its spread that of the rounds. Everything accepted is received through the mesh's client, checked \
whole and accounted by the gateway's ids: batches as they come, single messages after each turn. \
Open loop: single messages at {part:g} of the closed loop's rate for {open_s:g} s, latency from \
the time each was due. wrk: closed loop, {callers} connections, {wrk_s} s each. Locust: {users} \
users, {open_s:g} s.

The start, on a cluster of its own, before {crowd:,} connections that are made as soon as the port \
opens and ask {paths} all at once, every {wave:g} s, until all hear that the mesh is ready: both \
together, as `x0 up` does it, where a small mesh is ready before Serve is; and the gateway first, \
so that the crowd asks while the mesh starts. An error is a request that was refused, dropped, or \
answered by anything but the gateway. The lag of its event loop is measured by each process \
itself, every {probe_ms:g} ms from its start on."""


def outcome(found: Found, settings: Settings, origin: Provenance) -> Outcome:
    """What the figures say."""
    loaded = found.loaded
    tables = [_turns(found), _cores(found), _ceilings(found), _scenarios(found), _starts(found)]
    p50, p95, p99 = percentiles_ms(loaded.open_loop.all())
    short = found.shortcomings
    carried = loaded.kinds["batch"].carried
    findings = [
        (
            f"In batches of {found.load.batch:,}, {found.carried} messages a second were accepted"
            f" over HTTP and delivered (accepted: {Spread.of(c.accepted_per_s for c in carried)},"
            f" delivered: {Spread.of(c.delivered_per_s for c in carried)})."
        ),
        _processor_time(found),
        (
            f"Open loop at {shown(loaded.open_rate)} single messages a second: p50 {shown(p50)},"
            f" p95 {shown(p95)}, p99 {shown(p99)} ms; {loaded.open_loop.late:,} of"
            f" {len(loaded.open_loop.all()):,} were sent late, {loaded.open_loop.errors:,} failed."
        ),
        *(_start(found, first) for first in (False, True)),
    ]
    if loaded.ceilings is None:
        findings.append("wrk is not installed, so the ceiling was not measured.")
    if found.starts.errors:
        findings.append(f"What went wrong at the start: {_counted(found.starts.errors)}.")
    findings.append(
        "Fell short: " + "; ".join(short) + "."
        if short
        else "Every request was answered, and every accepted message delivered once, unaltered."
    )
    return Outcome(
        slug="gateway",
        title="The HTTP gateway",
        method=_method(found, settings),
        tables=[table for table in tables if table is not None],
        findings=findings,
        values=values(found),
        provenance=origin,
    )


def _counted(kinds: Counter[str]) -> str:
    return ", ".join(f"{count:,} x {kind}" for kind, count in kinds.most_common())


def _start(found: Found, gateway_first: bool) -> str:  # noqa: FBT001 - the one thing it is told
    starts = found.starts.of_kind(gateway_first=gateway_first)
    starved = ", ".join(f"{spread} ms in {name}" for name, spread in starts.starved_ms.items())
    return (
        f"Started {_KINDS[gateway_first]}, the port was open after {starts.open_s} s and the mesh"
        f" ready after {starts.ready_s} s, Ray included. Answers: {_counted(starts.answers)}."
        " While a loop was at its latest, its thread was ready to run and waited for a processor"
        f" for {starved}."
    )


def _method(found: Found, settings: Settings) -> str:
    load = found.load
    return _METHOD.format(
        topology=PurePath(settings.topology).name,
        nodes=found.nodes,
        links=found.links,
        shards=found.shards,
        size=payload.SIZE,
        pairs=found.pairs,
        min_hops=found.min_hops,
        rounds=load.rounds,
        seconds=load.seconds,
        callers=load.callers,
        batch_callers=load.batch_callers,
        part=OPEN_LOOP_PART,
        open_s=load.open_s,
        wrk_s=load.wrk_s,
        users=locust_run.USERS,
        crowd=found.starts.crowd,
        paths=" and ".join(PATHS),
        wave=WAVE_S,
        probe_ms=1000 * PROBE_S,
    )


def _turns(found: Found) -> Table:
    rows = []
    for name, kind in found.loaded.kinds.items():
        p95, bare_p95 = kind.turns.p95_ms()
        ratios = kind.turns.ratios
        rows.append(
            [
                _TITLES[name].format(batch=found.load.batch),
                str(kind.turns.per_s),
                str(kind.turns.bare_per_s),
                f"{shown(kind.turns.ratio)} ({shown(ratios.low)} to {shown(ratios.high)})",
                str(p95),
                str(bare_p95),
            ]
        )
    return Table(["", "requests/s", "bare", "ratio", "p95, ms", "bare p95, ms"], rows)


def _cores(found: Found) -> Table:
    used = {name: kind.cores.cores() for name, kind in found.loaded.kinds.items()}
    processes = list(next(iter(used.values())))
    rows = [
        [name, *(shown(cores[each]) for each in processes), shown(sum(cores.values()))]
        for name, cores in used.items()
    ]
    return Table(["cores used in the gateway's turns", *processes, "all"], rows)


def _processor_time(found: Found) -> str:
    """What a message costs where, alone and in a batch."""
    kinds = found.loaded.kinds
    single, batch = (kinds[name].cores.cores() for name in ("single", "batch"))
    alone = kinds["single"].turns.per_s.median
    together = kinds["batch"].turns.per_s.median * found.load.batch
    parts = [
        f"{1e6 * single[name] / alone:,.0f} µs in the {name} alone,"
        f" {shown(1e6 * batch[name] / together)} µs in a batch"
        for name in ("gateway", "shards")
    ]
    return f"Processor time of a message: {'; '.join(parts)}."


def _ceilings(found: Found) -> Table | None:
    ceilings = found.loaded.ceilings
    if ceilings is None:
        return None
    rows = [[name, shown(c.per_s), shown(c.p95_ms), str(c.failed)] for name, c in ceilings.items()]
    return Table(["wrk", "requests/s", "p95, ms", "failed"], rows)


def _scenarios(found: Found) -> Table:
    rows = [
        [name, shown(s.per_s), shown(s.p95_ms), str(s.requests), str(s.failures)]
        for name, s in found.loaded.scenarios.items()
    ]
    return Table(["Locust", "requests/s", "p95, ms", "requests", "failures"], rows)


def _starts(found: Found) -> Table:
    kinds = {first: found.starts.of_kind(gateway_first=first) for first in (False, True)}
    names = list(found.starts.lag_ms)
    rows = [
        [
            _KINDS[first],
            str(len(starts.each)),
            f"{starts.requests:,}",
            f"{starts.errors.total():,}",
            *(str(starts.lag_ms[name]) for name in names),
        ]
        for first, starts in kinds.items()
    ]
    lags = [f"largest lag of {name}, ms" for name in names]
    return Table(["started", "starts", "requests", "errors", *lags], rows)
