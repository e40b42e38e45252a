"""How soon a mesh routes around a node that died in silence: this project's beside real babeld.

Both run the same 5 x 5 grid of perfect links with the same interval between Hellos, and both are
judged by following the tables that forward, sampled many times a second.
"""

from __future__ import annotations

import asyncio
import math
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from actors.mesh.drill.conductor import SAMPLE_S
from actors.runtime.errors import Unavailable
from actors.runtime.flags import Flags
from actors.runtime.settings import Settings
from jobs.launch import session
from jobs.terminal import reporting
from loadtests import babel_network, drilling, machine, trial
from loadtests.command import Results, run
from loadtests.grid import centre, grid, write_netjson
from loadtests.results import RESULTS, Outcome, Table
from loadtests.spread import Spread

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.mesh.drill.report import Report
    from jobs.launch.session import Session
    from loadtests.babel_network import LinkType
    from loadtests.machine import Provenance

    Progress = Callable[[str], None]

SIDE: Final = 5  # nodes
RUNS: Final = 3
HELLO_S: Final = 1.0
LINK_TYPES: Final[tuple[LinkType, ...]] = ("wired", "wireless")
_AT_ONCE: Final = 3  # runs of babeld side by side, each with a network of either link type
_METHOD: Final = """\
{side} x {side} grid of perfect links; the centre dies in silence; Hello every {hello:g} s.
The time runs until the forwarding tables lead from every survivor to every other, and stay so.

This mesh: emulated links, steady messages between all pairs, tables sampled every \
{mesh_ms:.0f} ms; a route to the dead node must be gone too. "Hellos alone" is `--no-feedback`; \
else unacknowledged frames betray the dead neighbour as well.

babeld {version}: one network namespace a node, veth links, default settings but for \
`-h {hello:g} -H {hello:g}`, `-r` (no saved state) and the link type; kernel tables sampled \
every {babel_ms:.0f} ms. Its type "wired" is what it chooses for veth, "wireless" what a radio \
mesh runs. The death: SIGKILL of babeld and IPv6 switched off in the node's namespace; \
neighbours keep carrier. It has no traffic: it does not learn from any. \
"Never" is not within {patience} Hellos."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Seconds to whole routes.

    Attributes:
        drills: of this mesh, by whether feedback was on.
        babel: of babeld, by link type.
    """

    drills: dict[bool, list[Report]]
    babel: dict[LinkType, list[float]]

    def mesh(self, *, feedback: bool) -> Spread:
        """Of this mesh."""
        return Spread.of(_healed(report) for report in self.drills[feedback])

    def babeld(self, link_type: LinkType) -> Spread:
        """Of babeld."""
        return Spread.of(self.babel[link_type])


def measure(progress: Progress, *, runs: int = RUNS, hello_s: float = HELLO_S) -> Outcome:
    """Run the benchmark.

    Args:
        progress: told what is going on.
        runs: deaths in each setting.
        hello_s: interval between Hellos of both.

    Raises:
        ConfigurationError: babeld is not installed, or this is not root.
        Unavailable: a mesh or a network did not become whole.
    """
    version, load = babel_network.require(), machine.load()
    figures = Figures(
        drills={on: _drills(progress, runs, hello_s, feedback=on) for on in (True, False)},
        babel=_babel(progress, runs, hello_s),
    )
    method = _METHOD.format(
        side=SIDE,
        hello=hello_s,
        mesh_ms=SAMPLE_S * 1000,
        babel_ms=trial.SAMPLE_S * 1000,
        version=version,
        patience=trial.HEAL_HELLOS,
    )
    origin = machine.provenance(("ray", "numpy", "scipy"), load, {"babeld": version})
    return outcome(figures, method, hello_s, origin)


def outcome(figures: Figures, method: str, hello_s: float, origin: Provenance) -> Outcome:
    """What the figures say."""
    spreads = {
        "this mesh": figures.mesh(feedback=True),
        "this mesh, Hellos alone": figures.mesh(feedback=False),
        **{f"babeld, {kind}": figures.babeld(kind) for kind in LINK_TYPES},
    }
    best = min(LINK_TYPES, key=lambda kind: figures.babeld(kind).median)
    base = figures.babeld(best).median
    if math.isinf(base):
        raise Unavailable(
            "babeld is no comparator here",
            f"most of its networks had not healed after {trial.HEAL_HELLOS} Hellos",
            "Run it on a machine with less load.",
            retry_after_s=1.0,
        )
    ratios = {name: base / spread.median for name, spread in spreads.items()}
    detected = {
        "this mesh": _detected(figures.drills[True]),
        "this mesh, Hellos alone": _detected(figures.drills[False]),
    }
    rows = [
        [
            name,
            str(len(spread.values)),
            str(detected.get(name, "")),
            str(spread),
            f"{ratios[name]:.1f}",
        ]
        for name, spread in spreads.items()
    ]
    short = sorted(
        {text for reports in figures.drills.values() for r in reports for text in r.shortcomings}
    )
    against = (
        f"Against babeld's faster link type ({best}): this mesh heals"
        f" {ratios['this mesh']:.1f} times as fast, by Hellos alone"
        f" {ratios['this mesh, Hellos alone']:.1f} times as fast."
    )
    drills = sum(map(len, figures.drills.values()))
    kept = "no message was lost or delivered twice, and no loop was formed"
    found = f"it fell short: {'; '.join(short)}" if short else kept
    findings = [against, f"In {drills} drills of this mesh {found}."]
    values: dict[str, object] = {
        "nodes": SIDE * SIDE,
        "hello_s": hello_s,
        "healed_s": {name: spread.as_dict() for name, spread in spreads.items()},
        "ratio_to_fastest_babeld": ratios,
        "shortcomings": short,
        "drills": [r.as_dict() for reports in figures.drills.values() for r in reports],
    }
    return Outcome(
        slug="heal",
        title="Healing after a silent death",
        method=method,
        tables=[Table(["", "runs", "first notice, s", "healed, s", "times as fast"], rows)],
        findings=findings,
        values=values,
        provenance=origin,
    )


def _healed(report: Report) -> float:
    if report.healed_s is None:
        raise Unavailable(
            "this mesh did not heal",
            "; ".join(report.shortcomings),
            "Run it on a machine with less load; if it stays, it is a defect.",
            retry_after_s=report.convergence_bound_s,
        )
    return report.healed_s


def _detected(reports: list[Report]) -> Spread | str:
    known = [report.detected_s for report in reports if report.detected_s is not None]
    return Spread.of(known) if known else "never"


def _drills(progress: Progress, runs: int, hello_s: float, *, feedback: bool) -> list[Report]:
    """Drill one mesh again and again; it is mended after each."""
    topology = grid(SIDE)
    with tempfile.TemporaryDirectory(prefix="x0-") as directory:
        path = Path(directory) / "grid.json"
        write_netjson(topology, path)
        settings = Settings.load(topology=str(path), hello_s=hello_s, feedback=feedback)
        with session.ephemeral(settings, Flags(), progress=progress) as own:
            victim = topology.ids[centre(topology)]
            return asyncio.run(_repeat(own, runs, victim, progress))


async def _repeat(own: Session, runs: int, victim: str, progress: Progress) -> list[Report]:
    await own.wait_ready(progress)
    return [await drilling.worst_node(seed, progress, [victim]) for seed in range(1, runs + 1)]


def _babel(progress: Progress, runs: int, hello_s: float) -> dict[LinkType, list[float]]:
    topology = grid(SIDE)
    found: dict[LinkType, list[float]] = {kind: [] for kind in LINK_TYPES}
    for first in range(0, runs, _AT_ONCE):
        kinds = LINK_TYPES * min(_AT_ONCE, runs - first)
        times = trial.heal_times(topology, centre(topology), hello_s, kinds, progress)
        for kind, healed in zip(kinds, times, strict=True):
            found[kind].append(healed)
    return found


@reporting.reported
def command(
    *,
    runs: Annotated[int, typer.Option(min=1, max=100, help="Deaths in each setting.")] = RUNS,
    hello: Annotated[
        float, typer.Option(min=0.05, max=60, help="Seconds between Hellos, of both.")
    ] = HELLO_S,
    results: Results = RESULTS,
    as_json: reporting.AsJson = False,
) -> int:
    """Measure how soon routes lead around a dead node, beside babeld. Needs root and babeld."""
    return run(partial(measure, runs=runs, hello_s=hello), results, as_json=as_json)


if __name__ == "__main__":
    reporting.run(command)
