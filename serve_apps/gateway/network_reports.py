"""Readings that are sent by HTTP: a network in any known format, or what one node measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from actors.runtime.errors import InvalidInput
from actors.runtime.ids import MAX_NODE_ID_LENGTH, is_node_id
from actors.topology.errors import UnknownNode
from actors.topology.formats import content
from actors.topology.network import NetworkNode, Reading
from serve_apps.web import parsing
from serve_apps.web.strict_json import loads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MEASUREMENTS: Final = 32  # values of one report
_LONGEST: Final = 64  # characters of their names
_FORMAT: Final = "node report"


class NodeReport(BaseModel):
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
                    "measurements": {"load": 0.32, "uptime_s": 86400.0},
                }
            ]
        },
    )

    node: str = Field(min_length=1, max_length=MAX_NODE_ID_LENGTH, description="its id or name")
    measured_at: float = Field(
        ge=0, le=4e9, allow_inf_nan=False, description="seconds since the Unix epoch"
    )
    measurements: dict[str, float] = Field(
        min_length=1,
        max_length=MEASUREMENTS,
        description="values by name: a-z 0-9 _, finite numbers",
    )


class Report(NamedTuple):
    """A reading that was sent.

    Attributes:
        reading: the reading.
        whole: whether it is all that its sender knows.
    """

    reading: Reading
    whole: bool


def parse(body: bytes, source: str, known: Callable[[str], str]) -> Report:
    """Read a report; what it is, is told by its content.

    Args:
        body: JSON, or a network in any format of `content`.
        source: name of the sender.
        known: the id of the member that is called so; `UnknownNode` if there is none.

    Raises:
        InvalidInput: it is neither, or a node's report breaks a rule.
        TopologyError: no node of the network can be used.
    """
    if body.lstrip()[:1] == b"{":
        value = loads(body)
        if isinstance(value, dict) and "measurements" in value:
            return Report(_of_node(parsing.parse(NodeReport, value), source, known), whole=False)
    reading = content.read(body, source)
    return Report(reading, whole=reading.format not in content.OF_ONE_NODE)


def _of_node(report: NodeReport, source: str, known: Callable[[str], str]) -> Reading:
    if not is_node_id(report.node):
        raise _invalid("node", "it is no id of a node")
    node = NetworkNode(
        _member(report.node, known),
        online=True,
        seen_at=report.measured_at,
        telemetry=_checked(report.measurements),
    )
    return Reading(source, _FORMAT, (node,), (), records=1, made_at=report.measured_at)


def _member(node: str, known: Callable[[str], str]) -> str:
    """Id of the member that is called so; else that of a new one."""
    try:
        return known(node)
    except UnknownNode:
        return node


def _checked(measurements: Mapping[str, float]) -> Mapping[str, float]:
    for name, number in measurements.items():
        plain = name.isascii() and name.replace("_", "").isalnum() and name == name.lower()
        if not plain or len(name) > _LONGEST:
            raise _invalid(f"measurements.{name[:_LONGEST]}", "a name has 1 to 64 of a-z 0-9 _")
        if not abs(number) < 1e300:
            raise _invalid(f"measurements.{name}", "it is not a finite number")
    return measurements


def _invalid(entry: str, why: str) -> InvalidInput:
    return InvalidInput(f"{entry} is refused", why, parsing.EXAMPLES, source="body", entry=entry)
