"""Measurements that nodes report about themselves: checked, and the latest of each kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from actors.runtime.errors import Conflict, InvalidInput
from actors.runtime.ids import MAX_NODE_ID_LENGTH
from serve_apps.web import parsing

if TYPE_CHECKING:
    from collections.abc import Mapping

MEASUREMENTS: Final = 32  # values of one report


class TelemetryReport(BaseModel):
    """What a node measured at one moment."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        json_schema_extra={
            "examples": [
                {
                    "node": "n0001",
                    "measured_at": 1764057600.0,
                    "measurements": {"temperature_celsius": 41.5, "load1": 0.32},
                }
            ]
        },
    )

    node: str = Field(
        min_length=1, max_length=MAX_NODE_ID_LENGTH, description="id or name of the node"
    )
    measured_at: float = Field(
        ge=0, le=4e9, allow_inf_nan=False, description="seconds since the Unix epoch"
    )
    measurements: dict[str, float] = Field(
        min_length=1,
        max_length=MEASUREMENTS,
        description="values by name: a-z 0-9 _, finite numbers",
    )


def parse(value: object) -> TelemetryReport:
    """Check a report.

    Raises:
        InvalidInput: it breaks a rule; the error names the field.
    """
    report = parsing.parse(TelemetryReport, value)
    for name, number in report.measurements.items():
        plain = name.isascii() and name.replace("_", "").isalnum() and name == name.lower()
        if not plain or len(name) > 64:
            raise _invalid(f"measurements.{name[:64]}", "a name has 1 to 64 of a-z 0-9 _")
        if not abs(number) < 1e300:
            raise _invalid(f"measurements.{name}", "it is not a finite number")
    return report


class LatestReports:
    """The latest report of each node; the nodes of the mesh bound how many there are."""

    def __init__(self) -> None:
        self._reports: dict[str, TelemetryReport] = {}

    def take(self, report: TelemetryReport) -> None:
        """Keep a report.

        Raises:
            Conflict: one that was measured later is kept already.
        """
        kept = self._reports.get(report.node)
        if kept is not None and kept.measured_at > report.measured_at:
            raise Conflict(
                f"the report of {report.node} is out of date",
                f"one measured at {kept.measured_at:.3f} is kept already",
                "Send newer measurements, and check the node's clock.",
            )
        self._reports[report.node] = report

    def of(self, node: str) -> dict[str, Any] | None:
        """The latest report of a node, if there is one."""
        report = self._reports.get(node)
        return None if report is None else report.model_dump(exclude={"node"})

    def forget(self, known: Mapping[str, int]) -> None:
        """Drop reports of nodes that left."""
        self._reports = {name: r for name, r in self._reports.items() if name in known}


def _invalid(entry: str, why: str) -> InvalidInput:
    return InvalidInput(
        f"{entry} is refused", why, "See the examples in /docs.", source="body", entry=entry
    )
