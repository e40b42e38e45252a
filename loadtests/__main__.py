"""All benchmarks in turn: `python -m loadtests`; `--write` records each when it is done."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from actors.runtime import log
from actors.runtime.errors import X0Error
from jobs.terminal import exit_codes, reporting
from loadtests import (
    alerts,
    beacons,
    byzantine,
    calls,
    compare,
    faults,
    gateway,
    heal,
    history,
    identity,
    inference,
    mesh,
    observe,
    overload,
    payments,
    respondd,
    root_cause,
    routes,
    scale,
    twin,
    watching,
    xdp,
)
from loadtests.benchmark import RESULTS, Write, named, record

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.benchmark import Outcome, Progress

RATE: Final = "6800"  # messages per second that the project was asked for
BENCHMARKS: Final[dict[str, Callable[[Progress], Outcome]]] = {
    "heal": heal.measure,
    "faults": faults.measure,
    "root_cause": root_cause.measure,
    "scale": scale.measure,
    "routes": routes.measure,
    "calls": calls.measure,
    "alerts": alerts.measure,
    "identity": identity.measure,
    "beacons": beacons.measure,
    "byzantine": byzantine.measure,
    "twin": twin.measure,
    "payments": payments.measure,
    "respondd": respondd.measure,
    "observe": observe.measure,
    "history": history.measure,
    "inference": inference.measure,
    "mesh-max": mesh.measure,
    "mesh-6800": partial(mesh.measure, rate=RATE),
    "mesh-6800-failing": partial(mesh.measure, rate=RATE, fail_node=True),
    "compare": compare.measure,
    "overload": overload.measure,
    "gateway": gateway.measure,
    "watching": watching.measure,
    "xdp": xdp.measure,
}


@reporting.reported
def command(*, write: Write = False, as_json: reporting.AsJson = False) -> int:
    """Run every benchmark, also after one that could not be run; then the exit code is 4.

    Exit code 3 when all were run, and one of them broke a promise.
    """
    log.configure("ERROR")
    report = reporting.Report(as_json)
    outcomes: dict[str, Outcome] = {}
    failures: dict[str, dict[str, str]] = {}
    for name, measure in BENCHMARKS.items():
        report.note(f"{name}: begins")
        try:
            outcome = outcomes[name] = measure(named(report.progress, name))
        except X0Error as error:
            report.settle()
            report.note(f"{name}: not measured: {error}")
            failures[name] = {"what": error.what, "why": error.why, "remedy": error.remedy}
            continue
        if write:
            record(outcome, RESULTS)
        report.settle()
        if not as_json:
            report.console.print(str(outcome), soft_wrap=True)
    if as_json:
        values = {name: outcome.as_dict() for name, outcome in outcomes.items()}
        report.result({**values, "not_measured": failures})
    broken = any(outcome.found.shortcomings for outcome in outcomes.values())
    if failures:
        return exit_codes.UNAVAILABLE
    return exit_codes.NOT_WELL if broken else exit_codes.OK


if __name__ == "__main__":
    reporting.run(command)
