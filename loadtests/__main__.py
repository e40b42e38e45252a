"""All benchmarks in turn, each recorded as soon as it is done: `python -m loadtests`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.runtime import log
from actors.runtime.errors import X0Error
from jobs.terminal import reporting
from loadtests import (
    calls,
    compare,
    gateway,
    heal,
    mesh,
    overload,
    payments,
    results,
    routes,
    scale,
    twin,
)
from loadtests.command import Results  # noqa: TC001 - typer reads annotations at run time
from loadtests.mesh_load import Load
from loadtests.results import RESULTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.results import Outcome

    Progress = Callable[[str], None]

RATE: Final = 6800.0  # messages per second that the project was asked for
BENCHMARKS: Final[dict[str, Callable[[Progress], Outcome]]] = {
    "heal": heal.measure,
    "scale": scale.measure,
    "routes": routes.measure,
    "calls": calls.measure,
    "twin": twin.measure,
    "payments": payments.measure,
    "mesh-max": mesh.measure,
    "mesh-6800": lambda progress: mesh.measure(progress, load=Load(RATE, mesh.SECONDS)),
    "mesh-6800-failing": lambda progress: mesh.measure(
        progress, load=Load(RATE, mesh.SECONDS, fail_node=True)
    ),
    "compare": compare.measure,
    "overload": overload.measure,
    "gateway": gateway.measure,
}


@reporting.reported
def command(*, results_file: Results = RESULTS, as_json: reporting.AsJson = False) -> int:
    """Run every benchmark, also after one that could not be run; then the exit code is 1."""
    log.configure("ERROR")
    report = reporting.Report(as_json)
    values: dict[str, object] = {}
    failures: dict[str, dict[str, str]] = {}
    for name, measure in BENCHMARKS.items():

        def progress(text: str, name: str = name) -> None:
            report.progress(f"{name}: {text}")

        report.note(f"{name}: begins")
        try:
            outcome = measure(progress)
        except X0Error as error:
            report.settle()
            report.note(f"{name}: not measured: {error}")
            failures[name] = {"what": error.what, "why": error.why, "remedy": error.remedy}
            continue
        results.record(outcome, results_file)
        report.settle()
        values[name] = outcome.as_dict()
        if not as_json:
            report.console.print(str(outcome), soft_wrap=True)
    if as_json:
        report.result({**values, "not_measured": failures})
    return 1 if failures else 0


if __name__ == "__main__":
    reporting.run(command)
