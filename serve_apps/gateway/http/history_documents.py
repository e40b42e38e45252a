"""The answers about history, as the gateway's OpenAPI document tells them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field
from typing_extensions import TypeAliasType

from actors.topology.events import EventKind, EventSeverity
from actors.topology.provenance import Network
from serve_apps.web.documents import example

_EVENT = {
    "id": 7,
    "at": "2026-11-29T10:35:51.744Z",
    "network": "emulated",
    "kind": "node_silent",
    "severity": "warning",
    "nodes": ["n0009"],
    "link": None,
    "what": "node n0009 is silent: no neighbour hears it",
    "data": {},
    "source": "mesh",
}


NodeChange = TypeAliasType("NodeChange", Literal["joined", "left", "state", "renamed"])
LinkChange = TypeAliasType("LinkChange", Literal["added", "gone", "state", "quality"])


class StoredEventDocument(BaseModel):
    """Something that has happened."""

    model_config = example(**_EVENT)
    id: int = Field(description="its place in the history, from 1 without gaps")
    at: str = Field(description="ISO 8601, UTC")
    network: Network
    kind: EventKind
    severity: EventSeverity
    nodes: list[str] = Field(description="ids of the nodes that it is about")
    link: list[str] | None = Field(description="ids of the ends of the link that it is about")
    what: str = Field(description="one sentence, with names")
    data: dict[str, Any] = Field(description="figures of this kind of event")
    source: str = Field(description="who has noticed it")


class EventList(BaseModel):
    """Events in the order in which they were stored."""

    model_config = example(events=[_EVENT], next=None)
    events: list[StoredEventDocument]
    next: int | None = Field(description="give it as `after` for the next page; null: the last one")


class MomentDocument(BaseModel):
    """A network at one moment."""

    at: str = Field(description="when it was sampled, ISO 8601, UTC")
    nodes: int
    links: int


class NodeDifference(BaseModel):
    """A node that is not as it was."""

    what: NodeChange
    id: str
    names: list[str] = Field(description='its name; "" where there is none')
    before: str | None = Field(description="state or name of before; null: there was none")
    now: str | None


class LinkDifference(BaseModel):
    """A link that is not as it was."""

    what: LinkChange
    a: str
    b: str
    kind: str
    names: list[str] = Field(description='of its ends; "" where there is none')
    before: str | list[float | None] | None = Field(
        description="state of before, or the qualities from a to b and back; null: not known"
    )
    now: str | list[float | None] | None


class DifferenceList(BaseModel):
    """What is not as it was."""

    model_config = example(
        network="observed",
        before={"at": "2026-11-28T22:00:00.000Z", "nodes": 2, "links": 1},
        now={"at": "2026-11-29T10:35:00.000Z", "nodes": 2, "links": 1},
        different_nodes=1,
        different_links=0,
        nodes=[
            {
                "what": "state",
                "id": "n0009",
                "names": ["church tower"],
                "before": "up",
                "now": "cut_off",
            }
        ],
        links=[],
    )
    network: Network
    before: MomentDocument
    now: MomentDocument
    different_nodes: int = Field(description="how many differences of nodes there are in all")
    different_links: int
    nodes: list[NodeDifference]
    links: list[LinkDifference]


class SeriesDocument(BaseModel):
    """One node or one link over time."""

    id: str | None = Field(None, description="of a node")
    a: str | None = Field(None, description="one end of a link")
    b: str | None = Field(None, description="its other end")
    kind: str | None = Field(None, description="of a link")
    step_s: int = Field(description="width of a step")
    at: list[str] = Field(description="begin of each step, ISO 8601, UTC")
    samples: list[int] = Field(description="minutes that were recorded in each step")
    state: list[str | None] = Field(description="state in most of them; null: not known")
    figures: dict[str, list[float | None]] = Field(description="means; null: not known")


class SeriesList(BaseModel):
    """A node, or each link of a pair: one of a kind."""

    model_config = example(
        network="emulated",
        series=[
            {
                "id": "n0009",
                "step_s": 60,
                "at": ["2026-11-29T10:35:00.000Z"],
                "samples": [1],
                "state": ["up"],
                "figures": {"links": [4.0]},
            }
        ],
        unreadable=0,
    )
    network: Network
    series: list[SeriesDocument]
    unreadable: int = Field(description="files that could not be read: their minutes are missing")
