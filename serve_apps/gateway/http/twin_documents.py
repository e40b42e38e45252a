"""What the twin is asked and answers, as the OpenAPI document tells it."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, Field

from actors.twin.results import (
    About,
    Advice,
    Availability,
    Cascade,
    DoubleFailures,
    Impact,
    InternetAccess,
    RandomCascades,
    RandomFailures,
    SingleFailures,
    WorstPairs,
)
from actors.twin.scenario import Scenario
from serve_apps.gateway.http.mesh_documents import NAMES
from serve_apps.gateway.limits import Limits
from serve_apps.web import documents
from serve_apps.web.strict_json import JSON

OF_A_MAP: Final = ("topology", "vpn", "all_components")  # of a scenario; here it is the live mesh


NodeNames = Annotated[dict[str, str], Field(description=NAMES)]


class SingleReply(BaseModel):
    """Every single failure, the costliest first."""

    mesh: About
    names: NodeNames
    internet: InternetAccess | None
    single_failures: SingleFailures


class DoubleReply(BaseModel):
    """Every failure of two at once that costs more than the two do one by one."""

    mesh: About
    names: NodeNames
    internet: InternetAccess | None
    double_failures: DoubleFailures


class ImpactReply(BaseModel):
    """What one failed set does."""

    mesh: About
    names: NodeNames
    internet: InternetAccess | None
    impact: Impact


class ScenarioReply(BaseModel):
    """The answers to a scenario; null for what it did not ask."""

    mesh: About
    names: NodeNames
    name: str
    nodes: int
    links: int
    internet: InternetAccess | None
    impact: Impact | None
    single_failures: SingleFailures | None
    double_failures: DoubleFailures | None
    worst_pairs: WorstPairs | None
    random_failures: RandomFailures | None
    cascade: Cascade | None
    random_cascades: RandomCascades | None
    availability: Availability | None
    advice: Advice | None


def _components() -> dict[str, Any]:
    """The schema of a scenario as it is taken here, and of its parts, by name."""
    parts = documents.components(Scenario)
    for name in OF_A_MAP:
        del parts["Scenario"]["properties"][name]
    for name in ("Random", "Reliability"):
        parts[name]["properties"]["samples"]["maximum"] = Limits().twin_samples
    return parts


COMPONENTS: Final = _components()

_MESH: Final = {
    "live": True,
    "source": "radio:144",
    "nodes": 144,
    "links": 290,
    "links_down": 0,
    "hello_s": 1.0,
    "revision": 1,
    "age_s": 0.3,
}
_OFFLINE: Final = {"nodes": 31, "clients": 33, "clients_known": 31}
_WORST: Final = {
    "node": "n0032",
    "pairs_lost": 2672,
    "share": 0.263,
    "degree": 5,
    "cut_off": _OFFLINE,
}
_BRIDGE: Final = {
    "link": "n0002--n0111",
    "pairs_lost": 1340,
    "share": 0.13,
    "cut_off": {"nodes": 10, "clients": None, "clients_known": 0},
}

SINGLE_EXAMPLE: Final[dict[str, Any]] = {
    "content": {
        JSON: {
            "example": {
                "mesh": _MESH,
                "names": {"n0032": "church tower"},
                "internet": {
                    "gateways": ["n0007"],
                    "given": False,
                    "reaching": {"nodes": 144, "clients": 213, "clients_known": 130},
                },
                "single_failures": {
                    "nodes": 144,
                    "links": 290,
                    "pairs_connected": 10296,
                    "components": 1,
                    "node_connectivity": 1,
                    "ranked_by": "clients",
                    "spof_nodes": [_WORST],
                    "bridges": [_BRIDGE],
                },
            }
        }
    }
}
SCENARIO_BODY: Final = documents.body(
    "Scenario",
    examples={
        "a router with its mast": {
            "value": {
                "name": "the mast of n0032",
                "groups": {"mast": {"nodes": ["n0032"], "links": [["n0002", "n0111"]]}},
                "fail": {"groups": ["mast"]},
                "pairs": [["n0000", "n0100"]],
                "advice": {"links": 2, "for_failure": True},
            }
        },
        "who loses the internet": {
            "value": {"singles": True, "rank_by": "nodes", "gateways": ["n0007", "n0021"]},
        },
        "which two must not fail together": {"value": {"doubles": 20}},
        "bad luck": {"value": {"random": {"k": 5, "of": "elements", "samples": 2000}, "seed": 7}},
        "availability": {
            "value": {"availability": {"node": {"mtbf": 2000, "mttr": 4}}},
        },
        "overload": {
            "value": {
                "fail": {"nodes": ["n0032"]},
                "traffic": {"uniform": 0.1},
                "capacity": {"default": 100},
                "cascade": {},
            }
        },
    },
)
PNG: Final = "image/png"
PICTURE: Final[dict[str, Any]] = {
    "description": "The mesh, with what fails and what it cuts off marked",
    "content": {PNG: {"schema": {"type": "string", "format": "binary"}}},
}
