"""How soon a mesh routes around a node that died in silence: this project's beside real babeld.

Both run the same 5 x 5 grid of perfect links with the same interval between Hellos, and both are
judged by following the tables that forward, sampled many times a second.
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from actors.mesh.drill.conductor import SAMPLE_S
from actors.runtime.errors import Unavailable
from actors.runtime.flags import Flags
from loadtests import babel_heal, babel_network, drilling, private_cluster
from loadtests.benchmark import Findings, Progress, Table, benchmark
from loadtests.grid import centre, grid, write_netjson
from loadtests.spread import Spread
from serve_apps.settings import Settings

if TYPE_CHECKING:
    from actors.mesh.contract import MeshStatus
    from actors.mesh.drill.report import DrillReport
    from loadtests.babel_network import LinkType

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


@benchmark("heal", "Healing after a silent death", ("ray", "numpy", "scipy"))
def measure(
    progress: Progress,
    *,
    runs: Annotated[
        int, typer.Option(min=1, max=100, help="Number of deaths in each setting.")
    ] = RUNS,
    hello: Annotated[
        float, typer.Option(min=0.05, max=60, help="Seconds between Hellos, on both sides.")
    ] = HELLO_S,
) -> Findings:
    """Measure how soon routes lead around a dead node, beside babeld. Needs root and babeld.

    Raises:
        ConfigurationError: babeld is not installed, or this is not root.
        Unavailable: a mesh or a network did not become whole.
    """
    version = babel_network.require()
    drills = {
        "this mesh": _drills(progress, runs, hello, feedback=True),
        "this mesh, Hellos alone": _drills(progress, runs, hello, feedback=False),
    }
    healed = {name: Spread.of(map(_healed, reports)) for name, reports in drills.items()}
    babel = _babel(progress, runs, hello)
    healed |= {f"babeld, {kind}": Spread.of(babel[kind]) for kind in LINK_TYPES}
    best = min(LINK_TYPES, key=lambda kind: healed[f"babeld, {kind}"].median)
    base = healed[f"babeld, {best}"].median
    if math.isinf(base):
        raise Unavailable(
            "babeld is no comparator here",
            f"most of its networks had not healed after {babel_heal.HEAL_HELLOS} Hellos",
            "Run it on a machine with less load.",
            retry_after_s=1.0,
        )
    ratios = {name: base / spread.median for name, spread in healed.items()}
    detected = {name: str(_detected(reports)) for name, reports in drills.items()}
    rows = [
        [name, str(runs), detected.get(name, ""), str(spread), f"{ratios[name]:.1f}"]
        for name, spread in healed.items()
    ]
    reports = [report for some in drills.values() for report in some]
    return Findings(
        method=_METHOD.format(
            side=SIDE,
            hello=hello,
            mesh_ms=SAMPLE_S * 1000,
            babel_ms=babel_heal.SAMPLE_S * 1000,
            version=version,
            patience=babel_heal.HEAL_HELLOS,
        ),
        tables=[Table(["", "runs", "first notice, s", "healed, s", "times as fast"], rows)],
        findings=[
            (
                f"Against babeld's faster link type ({best}): this mesh heals"
                f" {ratios['this mesh']:.1f} times as fast, by Hellos alone"
                f" {ratios['this mesh, Hellos alone']:.1f} times as fast."
            )
        ],
        values={
            "nodes": SIDE * SIDE,
            "hello_s": hello,
            "healed_s": {name: spread.as_dict() for name, spread in healed.items()},
            "ratio_to_fastest_babeld": ratios,
            "drills": [report.as_dict() for report in reports],
        },
        shortcomings=sorted({text for report in reports for text in report.shortcomings}),
        kept=(
            f"In {len(reports)} drills of this mesh no message was lost or delivered twice, and no"
            " loop was formed."
        ),
        versions={"babeld": version},
    )


def _healed(report: DrillReport) -> float:
    if report.healed_s is None:
        raise Unavailable(
            "this mesh did not heal",
            "; ".join(report.shortcomings),
            "Run it on a machine with less load; if it stays, it is a defect.",
            retry_after_s=report.convergence_bound_s,
        )
    return report.healed_s


def _detected(reports: list[DrillReport]) -> Spread | str:
    known = [report.detected_s for report in reports if report.detected_s is not None]
    return Spread.of(known) if known else "never"


def _drills(progress: Progress, runs: int, hello_s: float, *, feedback: bool) -> list[DrillReport]:
    """Drill one mesh `runs` times; it is mended after each drill."""
    topology = grid(SIDE)
    victim = topology.ids[centre(topology)]

    async def repeat(_: MeshStatus) -> list[DrillReport]:
        return [await drilling.worst_node(seed, progress, [victim]) for seed in range(1, runs + 1)]

    with tempfile.TemporaryDirectory(prefix="x0-") as directory:
        path = Path(directory) / "grid.json"
        write_netjson(topology, path)
        settings = Settings.load(topology=str(path), hello_s=hello_s, feedback=feedback)
        return private_cluster.on_mesh(settings, progress, repeat, Flags())


def _babel(progress: Progress, runs: int, hello_s: float) -> dict[LinkType, list[float]]:
    topology = grid(SIDE)
    found: dict[LinkType, list[float]] = {kind: [] for kind in LINK_TYPES}
    for first in range(0, runs, _AT_ONCE):
        kinds = LINK_TYPES * min(_AT_ONCE, runs - first)
        times = babel_heal.heal_times(topology, centre(topology), hello_s, kinds, progress)
        for kind, healed in zip(kinds, times, strict=True):
            found[kind].append(healed)
    return found


if __name__ == "__main__":
    measure.main()
