"""What was measured of a gateway, and the section of RESULTS.md about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from actors.runtime.lag import PROBE_S
from loadtests import locust_run, payload
from loadtests.benchmark import Findings, Table
from loadtests.crowd import PATHS, WAVE_S
from loadtests.gateway_load import OPEN_LOOP_PART
from loadtests.open_loop import percentiles_ms
from loadtests.spread import Spread, finite, shown

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

    from loadtests.account import Account
    from loadtests.gateway_load import HttpLoad, Loaded
    from loadtests.gateway_start import Starts

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
the time each was due. Locust: {users} \
users, {open_s:g} s.

The start, on a cluster of its own, before {crowd:,} connections that are made as soon as the port \
opens and ask {paths} all at once, every {wave:g} s, until all hear that the mesh is ready: both \
together, as `x0 up` does it, where a small mesh is ready before Serve is; and the gateway first, \
so that the crowd asks while the mesh starts. An error is a request that was refused, dropped, or \
answered by anything but the gateway. The lag of its event loop is measured by each process \
itself, every {probe_ms:g} ms from its start on."""


@dataclass(frozen=True, slots=True)
class GatewayRun:
    """Everything that was measured.

    Attributes:
        topology: source of the mesh's topology.
        shape: `nodes`, `links`, `shards` of the mesh, and `pairs`, `min_hops` of the messages.
        load: what was offered.
        loaded: what the loads showed.
        account: what became of all messages.
        altered: messages that arrived altered or at another node.
        starts: starts of meshes, each before a crowd.
    """

    topology: str
    shape: Mapping[str, int]
    load: HttpLoad
    loaded: Loaded
    account: Account
    altered: int
    starts: Starts

    @property
    def carried(self) -> Spread:
        """Messages per second that were accepted in batches and delivered."""
        return Spread.of(turn.per_s for turn in self.loaded.kinds["batch"].carried)

    @property
    def shortcomings(self) -> list[str]:
        """What must not be, and is."""
        account = self.account
        counts = {
            "accepted messages lost": account.lost,
            "delivered more than once": account.duplicates,
            "altered or misdelivered": self.altered,
            "returned although nothing failed": account.returned,
            "never accepted but heard of": account.stray,
            "requests failed in the closed loop": sum(
                kind.runs.failed for kind in self.loaded.kinds.values()
            ),
            "requests failed in the open loop": self.loaded.open_loop.errors,
            "requests failed in Locust": sum(
                scenario.failures for scenario in self.loaded.scenarios.values()
            ),
            "requests went wrong at the start": self.starts.errors.total(),
        }
        return [f"{count:,} {what}" for what, count in counts.items() if count]


def found(run: GatewayRun) -> Findings:
    """The section of RESULTS.md."""
    loaded, load = run.loaded, run.load
    p50, p95, p99 = percentiles_ms(loaded.open_loop.all())
    carried = loaded.kinds["batch"].carried
    findings = [
        (
            f"In batches of {load.batch:,}, {run.carried} messages a second were accepted"
            f" over HTTP and delivered (accepted: {Spread.of(c.accepted_per_s for c in carried)},"
            f" delivered: {Spread.of(c.delivered_per_s for c in carried)})."
        ),
        _processor_time(run),
        (
            f"Open loop at {shown(loaded.open_rate)} single messages a second: p50 {shown(p50)},"
            f" p95 {shown(p95)}, p99 {shown(p99)} ms; {loaded.open_loop.late:,} of"
            f" {len(loaded.open_loop.all()):,} were sent late, {loaded.open_loop.errors:,} failed."
        ),
        *(_start(run, gateway_first=first) for first in (False, True)),
    ]
    if run.starts.errors:
        findings.append(f"What went wrong at the start: {_counted(run.starts.errors)}.")
    method = _METHOD.format(
        **run.shape,
        topology=PurePath(run.topology).name,
        size=payload.SIZE,
        rounds=load.rounds,
        seconds=load.seconds,
        callers=load.callers,
        batch_callers=load.batch_callers,
        part=OPEN_LOOP_PART,
        open_s=load.open_s,
        users=locust_run.USERS,
        crowd=run.starts.crowd,
        paths=" and ".join(PATHS),
        wave=WAVE_S,
        probe_ms=1000 * PROBE_S,
    )
    return Findings(
        method=method,
        tables=[_turns(run), _cores(run), _scenarios(run), _starts(run)],
        findings=findings,
        values=values(run),
        shortcomings=run.shortcomings,
        kept="Every request was answered, and every accepted message delivered once, unaltered.",
    )


def values(run: GatewayRun) -> dict[str, object]:
    """Everything, for JSON."""
    loaded, account = run.loaded, run.account
    p50, p95, p99 = percentiles_ms(loaded.open_loop.all())
    batch, sums = loaded.kinds["batch"], {}
    for prefix, name in (("single", "single"), ("batch", "batch"), ("routes", "route")):
        runs = loaded.kinds[name].runs
        sums[f"{prefix}_rps"] = round(runs.per_s.median, 1)
        sums[f"{prefix}_vs_bare"] = round(runs.ratio, 3)
        sums[f"{prefix}_p95_ms"] = round(runs.p95_ms()[0].median, 3)
    return {
        **sums,
        "batched_msgs_per_s": round(run.carried.median, 1),
        "batched_accepted_per_s": Spread.of(c.accepted_per_s for c in batch.carried).as_dict(),
        "batched_delivered_per_s": Spread.of(c.delivered_per_s for c in batch.carried).as_dict(),
        "batch": run.load.batch,
        "turns": {
            name: {
                "rps": kind.runs.per_s.as_dict(),
                "bare_rps": kind.runs.bare_per_s.as_dict(),
                "vs_bare": kind.runs.ratios.as_dict(),
                "p95_ms": kind.runs.p95_ms()[0].as_dict(),
                "bare_p95_ms": kind.runs.p95_ms()[1].as_dict(),
                "failed": kind.runs.failed,
                "cores": kind.cores.cores(),
            }
            for name, kind in loaded.kinds.items()
        },
        "open_loop": {
            "rate": round(loaded.open_rate, 1),
            "requests": len(loaded.open_loop.all()),
            "errors": loaded.open_loop.errors,
            "late_sends": loaded.open_loop.late,
            "p50_ms": finite(p50),
            "p95_ms": finite(p95),
            "p99_ms": finite(p99),
        },
        "accepted": account.accepted,
        "delivered": account.delivered,
        "lost_accepted": account.lost,
        "duplicates": account.duplicates,
        "corrupt": run.altered,
        "locust": {name: asdict(each) for name, each in loaded.scenarios.items()},
        "start_requests": run.starts.requests,
        "start_errors": run.starts.errors.total(),
        "start_max_loop_lag_ms": round(
            max(spread.high for spread in run.starts.lag_ms.values()), 1
        ),
        "start_together": run.starts.of_kind(gateway_first=False).values(),
        "start_gateway_first": run.starts.of_kind(gateway_first=True).values(),
    }


def _counted(kinds: Counter[str]) -> str:
    return ", ".join(f"{count:,} x {kind}" for kind, count in kinds.most_common())


def _start(run: GatewayRun, *, gateway_first: bool) -> str:
    starts = run.starts.of_kind(gateway_first=gateway_first)
    starved = ", ".join(f"{spread} ms in {name}" for name, spread in starts.starved_ms.items())
    return (
        f"Started {_KINDS[gateway_first]}, the port was open after {starts.open_s} s and the mesh"
        f" ready after {starts.ready_s} s, Ray included. Answers: {_counted(starts.answers)}."
        " While a loop was at its latest, its thread was ready to run and waited for a processor"
        f" for {starved}."
    )


def _turns(run: GatewayRun) -> Table:
    rows = []
    for name, kind in run.loaded.kinds.items():
        p95, bare_p95 = kind.runs.p95_ms()
        ratios = kind.runs.ratios
        rows.append(
            [
                _TITLES[name].format(batch=run.load.batch),
                str(kind.runs.per_s),
                str(kind.runs.bare_per_s),
                f"{shown(kind.runs.ratio)} ({shown(ratios.low)} to {shown(ratios.high)})",
                str(p95),
                str(bare_p95),
            ]
        )
    return Table(["", "requests/s", "bare", "ratio", "p95, ms", "bare p95, ms"], rows)


def _cores(run: GatewayRun) -> Table:
    used = {name: kind.cores.cores() for name, kind in run.loaded.kinds.items()}
    processes = list(next(iter(used.values())))
    rows = [
        [name, *(shown(cores[each]) for each in processes), shown(sum(cores.values()))]
        for name, cores in used.items()
    ]
    return Table(["cores used in the gateway's turns", *processes, "all"], rows)


def _processor_time(run: GatewayRun) -> str:
    """What a message costs where, alone and in a batch."""
    kinds = run.loaded.kinds
    single, batch = (kinds[name].cores.cores() for name in ("single", "batch"))
    alone = kinds["single"].runs.per_s.median
    together = kinds["batch"].runs.per_s.median * run.load.batch
    parts = [
        f"{1e6 * single[name] / alone:,.0f} µs in the {name} alone,"
        f" {shown(1e6 * batch[name] / together)} µs in a batch"
        for name in ("gateway", "shards")
    ]
    return f"Processor time of a message: {'; '.join(parts)}."


def _scenarios(run: GatewayRun) -> Table:
    rows = [
        [name, shown(s.per_s), shown(s.p95_ms), str(s.requests), str(s.failures)]
        for name, s in run.loaded.scenarios.items()
    ]
    return Table(["Locust", "requests/s", "p95, ms", "requests", "failures"], rows)


def _starts(run: GatewayRun) -> Table:
    kinds = {first: run.starts.of_kind(gateway_first=first) for first in (False, True)}
    names = list(run.starts.lag_ms)
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
