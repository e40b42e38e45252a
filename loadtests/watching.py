"""How long it takes from `x0 watch URL` to the first answer, and what watching then costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from actors.runtime.errors import Unavailable
from cluster.local import LocalCluster
from loadtests import footprint, published_map
from loadtests.benchmark import Findings, Progress, Table, benchmark, defect
from loadtests.spread import Spread

if TYPE_CHECKING:
    from collections.abc import Mapping

NODES: Final = 1_200
AT_REST: Final = 2_000
RUNS: Final = 3
SEED: Final = 1
POLLS: Final = 2  # that are waited for at rest
POLL_S: Final = 60.0
FIRST_ANSWER_S: Final = 8.0  # promised
CORES: Final = 0.02  # promised, of the observer at rest
MEMORY_MIB: Final = 300.0  # promised, of the observer
_LIMIT_S: Final = 300.0  # for one command
_METHOD: Final = """\
A meshviewer map of {nodes:,} made-up radio nodes, made anew for each request by a server on \
loopback. `x0 watch URL --detach` and then `x0 what-if --fail HOSTNAME --json` are run as a user \
runs them, each as a process of its own, on a cluster of their own that is started by the first; \
{runs} runs. The answer is checked to be about the observed network and the node of that name. The \
first command returns when the twin can be asked; the historian and the gateway start while the \
second one asks."""
_AT_REST: Final = """ \
At rest: a map of {rest:,} nodes, polled every {poll:.0f} s, over {polls} polls; what the process \
of the observer takes."""


@dataclass(frozen=True, slots=True)
class _First:
    """One start: seconds until `x0 watch` returned, and until the answer was there."""

    ready_s: float
    answer_s: float


@benchmark("watching", "Watching a network", ["ray", "httpx"])
def measure(
    progress: Progress,
    *,
    nodes: Annotated[int, typer.Option(help="Nodes of the map.")] = NODES,
    runs: Annotated[int, typer.Option(help="Starts.")] = RUNS,
    rest: Annotated[int, typer.Option(help="Nodes at rest; 0: do not measure it.")] = AT_REST,
) -> Findings:
    """Start to watch a map, and ask what a failure would cost; then see what watching takes.

    Raises:
        Unavailable: a command failed.
    """
    firsts = []
    with published_map.served(nodes, SEED) as (url, names):
        for run in range(runs):
            progress(f"start {run + 1} of {runs}")
            with tempfile.TemporaryDirectory(prefix="x0-watch-") as state:
                firsts.append(_first(url, names, Path(state)))
    ready = Spread.of(first.ready_s for first in firsts)
    answered = Spread.of(first.answer_s for first in firsts)
    values: dict[str, Any] = {
        "nodes": nodes,
        "ready_s": ready.as_dict(),
        "first_answer_s": answered.as_dict(),
    }
    short = []
    if answered.median > FIRST_ANSWER_S:
        short.append(f"the first answer took more than {FIRST_ANSWER_S:g} s")
    tables = [
        Table(
            ("nodes", "`x0 watch` returned, s", "first answer by name, s"),
            [(f"{nodes:,}", str(ready), str(answered))],
        )
    ]
    if rest:
        cores, memory = _at_rest(progress, rest)
        values |= {"at_rest": {"nodes": rest, "cores": cores, "unique_mib": memory}}
        tables.append(
            Table(
                ("nodes at rest", "cores of the observer", "its memory (unique), MiB"),
                [(f"{rest:,}", f"{cores:.4f}", f"{memory:.0f}")],
            )
        )
        if cores > CORES:
            short.append(f"the observer takes more than {CORES:.0%} of a core")
        if memory > MEMORY_MIB:
            short.append(f"the observer takes more than {MEMORY_MIB:g} MiB")
    return Findings(
        method=_METHOD.format(nodes=nodes, runs=runs)
        + (_AT_REST.format(rest=rest, poll=POLL_S, polls=POLLS) if rest else ""),
        tables=tables,
        findings=[],
        values=values,
        shortcomings=short,
        kept=f"The first answer came within {FIRST_ANSWER_S:g} s.",
    )


def _first(url: str, names: Mapping[str, str], state: Path) -> _First:
    """One start, until the first answer."""
    name = list(names)[-1]
    began = time.monotonic()
    _x0(state, "watch", url, "--detach", "--json")
    ready_s = time.monotonic() - began
    try:
        answer = _x0(state, "what-if", "--fail", name, "--json")
        answer_s = time.monotonic() - began
    finally:
        _x0(state, "down", "--json")
    if answer["mesh"]["network"] != "observed" or answer["mesh"]["nodes"] != len(names):
        raise defect(f"the answer is about {answer['mesh']}")
    if answer["impact"]["failed_nodes"] != [names[name]]:
        raise defect(f"it says what happens if {answer['impact']['failed_nodes']} fail")
    return _First(ready_s, answer_s)


def _at_rest(progress: Progress, nodes: int) -> tuple[float, float]:
    """Cores and unique memory in MiB of an observer that nobody asks anything."""
    with (
        published_map.served(nodes, SEED) as (url, _),
        tempfile.TemporaryDirectory(prefix="x0-watch-") as state,
    ):
        _x0(Path(state), "watch", url, "--detach", "--json", "--poll", f"{POLL_S:g}")
        try:
            cluster = LocalCluster.load(Path(state))
            if cluster is None:
                raise defect("the cluster has ended")
            observers = footprint.actors(cluster, ["ObserverActor"])
            time.sleep(30.0)  # for the historian and the gateway to start
            before, began = footprint.cpu_s(observers), time.monotonic()
            for poll in range(POLLS):
                progress(f"at rest: poll {poll + 1} of {POLLS}")
                time.sleep(POLL_S)
            spent = footprint.cpu_s(observers) - before
            memory = footprint.footprint(observers).unique
            return spent / (time.monotonic() - began), memory
        finally:
            _x0(Path(state), "down", "--json")


def _x0(state: Path, *arguments: str) -> dict[str, Any]:
    """Run a command as a user does; what it answers.

    Raises:
        Unavailable: it failed.
    """
    free = {f"X0TTA6BL4_{name}_PORT": "0" for name in ("GATEWAY", "DASHBOARD", "METRICS")}
    clean = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    done = subprocess.run(  # noqa: S603 - our own program
        [str(Path(sys.executable).with_name("x0")), *arguments],
        env={**clean, **free, "X0TTA6BL4_STATE_DIR": str(state)},
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )
    if done.returncode != 0:
        why = done.stderr.strip()[-500:]
        raise Unavailable(f"x0 {arguments[0]} failed", why, "Run it again.", retry_after_s=1.0)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


if __name__ == "__main__":
    measure.main()
