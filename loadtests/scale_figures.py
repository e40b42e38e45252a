"""What the scale benchmark measured, and what that says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from loadtests import burst, drilling
from loadtests.results import Outcome, Table
from loadtests.spread import shown

if TYPE_CHECKING:
    from actors.mesh.drill.report import Report
    from loadtests.burst import Burst
    from loadtests.footprint import Footprint
    from loadtests.machine import Provenance

_METHOD: Final = """\
Made-up radio meshes (`radio:N`), {shards} shards, Hello every {hello:g} s, on a Ray cluster that \
runs already. "Ready" is the time from the start of the actors until every node's routes are \
agreed. Memory (resident) and CPU are of the shards and the coordinator together, Ray's own \
daemons left out on both sides; "at rest" is with Hellos and without messages, over {idle:g} s. \
The burst is {messages:,} messages of {payload} bytes between {destinations} nodes, offered as \
fast as the mesh takes them, each checked to arrive once and unaltered, after one to each \
destination. The drill is `worst-node` at the rate that `x0 drill` chooses. One run each.

Beside it one Ray actor for each node, of which {lone} fit a small machine, doing nothing."""


@dataclass(frozen=True, slots=True)
class Sized:
    """A mesh of one size.

    Attributes:
        nodes, links: of the mesh.
        ready_s: from the start of its actors to agreed routes.
        rest: its memory before any message.
        idle_cores: processor time per second at rest.
        burst: what became of the burst.
        burst_peak: its largest memory up to the end of the burst, MiB.
        drill: the incident.
        drill_peak: its largest memory up to the end of the drill, MiB.
    """

    nodes: int
    links: int
    ready_s: float
    rest: Footprint
    idle_cores: float
    burst: Burst
    burst_peak: float
    drill: Report
    drill_peak: float

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "nodes": self.nodes,
            "links": self.links,
            "ready_s": self.ready_s,
            "rest_mib": self.rest.as_dict(),
            "idle_cores": self.idle_cores,
            "burst": self.burst.as_dict(),
            "burst_peak_mib": self.burst_peak,
            "drill": self.drill.as_dict(),
            "drill_peak_mib": self.drill_peak,
        }


@dataclass(frozen=True, slots=True)
class Lone:
    """One actor a node: how many, how long all took to start, s, and their memory."""

    actors: int
    ready_s: float
    rest: Footprint

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {"actors": self.actors, "ready_s": self.ready_s, "rest_mib": self.rest.as_dict()}


def outcome(meshes: list[Sized], lone: Lone, idle_s: float, origin: Provenance) -> Outcome:
    """What the figures say."""
    largest = meshes[-1]
    method = _METHOD.format(
        shards=largest.drill.shards,
        hello=largest.drill.hello_s,
        idle=idle_s,
        messages=largest.burst.messages,
        payload=burst.PAYLOAD,
        destinations=largest.burst.destinations,
        lone=lone.actors,
    )
    running = Table(
        [
            "nodes",
            "links",
            "ready, s",
            "CPU at rest, cores",
            "MiB at rest",
            "peak in burst",
            "in drill",
        ],
        [
            [
                f"{m.nodes:,}",
                f"{m.links:,}",
                shown(m.ready_s),
                shown(m.idle_cores),
                shown(m.rest.resident),
                shown(m.burst_peak),
                shown(m.drill_peak),
            ]
            for m in meshes
        ],
    )
    working = Table(
        ["nodes", "burst, messages/s", "hops", "drill: healed, s", "bound, s", "messages"],
        [
            [
                f"{m.nodes:,}",
                f"{m.burst.per_s:,.0f}",
                shown(m.burst.hops_mean),
                "never" if m.drill.healed_s is None else shown(m.drill.healed_s),
                shown(m.drill.convergence_bound_s),
                drilling.faults(m.drill),
            ]
            for m in meshes
        ],
    )
    each = Table(
        ["per node", "resident, MiB", "unique, MiB", "start, s"],
        [
            [name, shown(rest.resident / n), shown(rest.unique / n), shown(seconds / n)]
            for name, n, rest, seconds in (
                (f"this mesh of {largest.nodes:,}", largest.nodes, largest.rest, largest.ready_s),
                (f"one actor a node, {lone.actors}", lone.actors, lone.rest, lone.ready_s),
            )
        ],
    )
    ratios = {
        "resident": lone.rest.resident / lone.actors / (largest.rest.resident / largest.nodes),
        "unique": lone.rest.unique / lone.actors / (largest.rest.unique / largest.nodes),
        "start": lone.ready_s / lone.actors / (largest.ready_s / largest.nodes),
    }
    short = [f"{m.nodes:,} nodes: {text}" for m in meshes for text in m.drill.shortcomings]
    spared = (
        f"A node of this mesh takes 1/{ratios['unique']:,.0f} of the unique memory"
        f" (1/{ratios['resident']:,.0f} of the resident) and 1/{ratios['start']:,.0f} of the time"
        " to start that an actor of its own takes."
    )
    findings = [spared, *(f"A drill fell short: {text}." for text in short)]
    values: dict[str, object] = {
        "meshes": [m.as_dict() for m in meshes],
        "one_actor_a_node": lone.as_dict(),
        "ratio_per_node": ratios,
        "shortcomings": short,
    }
    return Outcome(
        slug="scale",
        title="Many nodes on one machine",
        method=method,
        tables=[running, working, each],
        findings=findings,
        values=values,
        provenance=origin,
    )
