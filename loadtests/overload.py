"""Twice as many messages as the mesh can carry, for minutes: what it refuses, holds, and recovers.

First its capacity is found, then a light load shows how it is at its ease; then twice the capacity
is offered, open loop; then the light load again, which must find the mesh as it was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Final

import typer

from loadtests import leipzig, mesh_figures, mesh_load, private_cluster
from loadtests.benchmark import Findings, NoVpn, Progress, Table, Topology, benchmark, named
from loadtests.load_plan import Load
from loadtests.mesh_figures import limits, shortcomings
from loadtests.mesh_load import thirds_mib
from loadtests.open_loop import percentiles_ms
from loadtests.spread import shown

if TYPE_CHECKING:
    from actors.mesh.contract import MeshStatus
    from loadtests.mesh_load import Ran
    from serve_apps.settings import Settings

SECONDS: Final = 120.0
CAPACITY_S: Final = 10.0
CALM_S: Final = 10.0
FACTOR: Final = 2.0  # times the capacity
CALM: Final = 0.02  # fraction of the capacity
MAILBOX: Final = 2048  # messages a node may hold: small, so that refusing begins within seconds
LANES: Final = 16  # calls at once for each shard, in the overload
GROWTH: Final = 0.1  # largest growth of memory, first third to last, that still counts as flat
SLOWER: Final = 2.0  # largest multiple of the p95 before that still counts as recovered
_SLACK_MS: Final = 5.0
_TITLES: Final = ("finding the capacity", "at ease before", "at twice the capacity", "after")
_METHOD: Final = """\
Topology {topology}: {nodes} nodes, {links} links, {shards} shards, journals on; a node may hold \
{mailbox:,} messages. Four loads in turn on one mesh, messages of 100 bytes over at least \
{min_hops} hops: as many as it takes ({capacity_s:g} s), {calm:.0%} of that ({calm_s:g} s), \
{factor:g} times that ({seconds:g} s, {lanes} calls under way for each shard; what cannot be \
offered in that time is not), and {calm:.0%} again. Each is drained and \
accounted before the next. Memory is of the shards, without the shared pages of Ray's object \
store, which is bounded; sampled each second."""


@dataclass(frozen=True, slots=True)
class Overloaded:
    """The four loads.

    Attributes:
        capacity: the load of as many messages as the mesh took.
        before, after: a small load before and after the overload.
        over: the load of twice the capacity.
    """

    capacity: Ran
    before: Ran
    over: Ran
    after: Ran

    @property
    def goodput(self) -> float:
        """What it delivered under the overload, of what it delivers at its most."""
        return self.over.delivered_per_s / max(1.0, self.capacity.delivered_per_s)

    @property
    def memory(self) -> tuple[float, float]:
        """Memory of the shards in the first and the last third of the overload, MiB.

        Their own: pages of Ray's object store, whose size is bounded, are not in it.
        """
        return thirds_mib(self.over.sampled.shard_private)

    @property
    def shortcomings(self) -> list[str]:
        """What must not be, and is."""
        names = zip(_TITLES, (self.capacity, self.before, self.over, self.after), strict=True)
        found = [f"{name}: {text}" for name, ran in names for text in shortcomings(ran)]
        if not self.over.refused:
            found.append("nothing was refused at twice the capacity")
        first, last = self.memory
        if last > (1 + GROWTH) * first:
            found.append(f"memory grew from {first:.0f} to {last:.0f} MiB")
        if _p95(self.after) > SLOWER * _p95(self.before) + _SLACK_MS:
            found.append(
                f"p95 was {_p95(self.before):.1f} ms before and {_p95(self.after):.1f} ms after"
            )
        return found


@benchmark("overload", "Twice as many messages as it carries", ("ray", "numpy", "scipy"))
def measure(
    progress: Progress,
    *,
    seconds: Annotated[
        float, typer.Option(min=2, max=86400, help="Seconds at twice the capacity.")
    ] = SECONDS,
    topology: Topology = None,
    no_vpn: NoVpn = False,
    mailbox: Annotated[
        int, typer.Option(min=1, max=2**24, help="Messages that a node may hold.")
    ] = MAILBOX,
) -> Findings:
    """Offer twice what the mesh carries; it must refuse, keep its memory flat, and recover.

    Exit code 3 when it does not, or when a message was lost, doubled or altered.

    Raises:
        TopologyError: the topology cannot be used.
        Unavailable: the mesh did not become ready, or gave up.
    """
    settings = leipzig.settings(topology, vpn=not no_vpn, mailbox_capacity=mailbox)
    rans: list[Ran] = []

    async def one(load: Load) -> Ran:
        name = _TITLES[len(rans)]
        progress(f"{name}: begins")
        ran = await mesh_load.run(cluster, load, named(progress, name), len(rans))
        rans.append(ran)
        return ran

    async def all_four(_: MeshStatus) -> Overloaded:
        capacity = await one(Load(rate=None, seconds=min(CAPACITY_S, seconds)))
        rate = max(1.0, capacity.delivered_per_s)
        calm = Load(rate=CALM * rate, seconds=min(CALM_S, seconds))
        # Many calls at once, so that what gives way is the mesh and not the caller.
        twice = replace(
            calm, rate=FACTOR * rate, seconds=seconds, tick_s=0.02, lanes=LANES, abandon=True
        )
        return Overloaded(capacity, await one(calm), await one(twice), await one(calm))

    with private_cluster.started(progress) as cluster:
        return _found(private_cluster.on_mesh(settings, progress, all_four), settings, seconds)


def _p95(ran: Ran) -> float:
    return percentiles_ms(ran.latency())[1]


def _found(found: Overloaded, settings: Settings, seconds: float) -> Findings:
    rans = (found.capacity, found.before, found.over, found.after)
    over, (first, last) = found.over, found.memory
    method = _METHOD.format(
        topology=settings.topology.rpartition("/")[2],
        nodes=over.nodes,
        links=over.links,
        shards=over.shards,
        mailbox=settings.mailbox_capacity,
        min_hops=over.load.min_hops,
        capacity_s=found.capacity.load.seconds,
        calm=CALM,
        calm_s=found.before.load.seconds,
        factor=FACTOR,
        lanes=LANES,
        seconds=seconds,
    )
    rows = [
        [
            name,
            "all it takes" if ran.load.rate is None else shown(ran.load.rate),
            shown(ran.delivered_per_s),
            shown(ran.totals["sent"]),
            shown(ran.refused),
            str(ran.account.lost),
            str(ran.account.duplicates),
            shown(_p95(ran)),
            shown(ran.drained_s),
        ]
        for name, ran in zip(_TITLES, rans, strict=True)
    ]
    values: dict[str, object] = {
        **mesh_figures.values(over, ()),
        "capacity_per_s": round(found.capacity.delivered_per_s, 1),
        "offered_per_s": round(over.load.rate or 0.0, 1),
        "mailbox_capacity": settings.mailbox_capacity,
        "sent_per_s": round(over.sent_per_s, 1),
        "delivered_of_capacity": round(found.goodput, 3),
        "lost_accepted": sum(ran.account.lost for ran in rans),
        "duplicates": sum(ran.account.duplicates for ran in rans),
        "corrupt": int(sum(r.totals["corrupt"] + r.totals["misdelivered"] for r in rans)),
        "memory_series_mib": [round(size / 2**20, 1) for size in over.sampled.shard_private],
        "p95_before_ms": round(_p95(found.before), 3),
        "p95_after_ms": round(_p95(found.after), 3),
    }
    columns = [
        "", "offered/s", "delivered/s", "sent", "refused", "lost", "twice", "p95, ms", "drained, s",
    ]  # fmt: skip
    return Findings(
        method=method,
        tables=[Table(columns, rows)],
        findings=[
            (
                f"{over.sent_per_s:,.0f} messages a second could be offered;"
                f" {over.account.accepted / max(1.0, over.totals['sent']):.0%} were accepted."
                f" Meanwhile it delivered {found.goodput:.0%} of its capacity."
            ),
            f"What limits it at twice the capacity: {limits(over)}",
            (
                f"Memory of the shards: {first:,.0f} MiB in the first third of the overload,"
                f" {last:,.0f} MiB in the last."
            ),
        ],
        values=values,
        shortcomings=found.shortcomings,
        kept="It refused what it could not hold, kept what it had accepted, and recovered.",
    )


if __name__ == "__main__":
    measure.main()
