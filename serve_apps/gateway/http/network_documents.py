"""What the gateway tells of the observed network, as its OpenAPI document says it."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, Field

from actors.observe.contract import ObservedLink, ObservedNode
from serve_apps.gateway.network_reports import NodeReport
from serve_apps.web import documents
from serve_apps.web.documents import example
from serve_apps.web.strict_json import JSON


class LeftOutRecord(BaseModel):
    """A record that was not used, or not as it stands."""

    reason: str = Field(description="the kind of fault")
    entry: str = Field(description="where it stands in the source")
    why: str


class OddRecord(LeftOutRecord):
    """The same, of one source."""

    used: bool = Field(description="it was used, otherwise than it stands")


class LeftOutList(BaseModel):
    """Records of the last answer of one source."""

    network: str = Field(description="observed")
    source: str
    total: int = Field(description="how many that answer had")
    records: list[OddRecord]
    next: int | None = Field(description="give it as `after` for the next page; null: the last one")


class Source(BaseModel):
    """How one source is. Times are Unix times in s, ages in s."""

    name: str
    kind: str
    state: str = Field(description="ok, waiting, failed, held or stale")
    why: str
    since: float
    stale: bool = Field(description="what is used of it is too old, whatever the state")
    good_at: float | None = Field(description="of the last answer that was taken over")
    age_s: float | None
    format: str
    nodes: int
    links: int
    records: int
    left_out: dict[str, int] = Field(description="number of records, by reason")
    altered: dict[str, int]
    examples: list[LeftOutRecord] = Field(
        description="up to 100 of them; GET /v1/network/left-out has all"
    )
    notes: list[str]
    pushes: bool = Field(description="it sends its readings to POST /v1/network/reports")


class SourceList(BaseModel):
    """All sources."""

    network: str = Field(description="observed")
    sources: list[Source]


class NetworkSummary(BaseModel):
    """The observed network in numbers."""

    network: str = Field(description="observed")
    source: str
    troubles: list[str] = Field(description="why what is known is not to be trusted as it stands")
    at: float = Field(description="Unix time of the last change or confirmation")
    age_s: float | None = Field(description="age of the oldest source, s")
    members: int
    nodes: dict[str, int] = Field(description="number of members, by state")
    links: dict[str, int] = Field(description="number of links, by state")
    parts: int
    main_part: int = Field(description="nodes of the part that counts as the network")
    gateways: int
    without_gateway: int = Field(description="nodes that work and reach no gateway")
    clients: int | None
    left_out: dict[str, int]
    altered: dict[str, int]
    sources: list[Source]


class ObservedNodeList(BaseModel):
    """All members."""

    network: str = Field(description="observed")
    nodes: list[ObservedNode]


class ObservedLinkList(BaseModel):
    """All links."""

    network: str = Field(description="observed")
    links: list[ObservedLink]


class ReportTaken(BaseModel):
    """What was taken of a report."""

    model_config = example(source="mesh-east", format="meshviewer", nodes=12, links=18, left_out={})
    source: str
    format: str
    nodes: int
    links: int
    left_out: dict[str, int]


class ReportKeyDocument(BaseModel):
    """What a sender without headers puts into its URL."""

    model_config = example(
        key="5d41402abc4b2a76b9719d911017c592",
        path="/v1/network/reports?key=5d41402abc4b2a76b9719d911017c592",
    )
    key: str
    path: str


class Retired(BaseModel):
    """The node is no member any more."""

    model_config = example(id="n0001", retired=True)
    id: str
    retired: bool


REPORT_BODY: Final[dict[str, Any]] = documents.body("NodeReport")
REPORT_BODY["content"][JSON]["schema"] = {
    "anyOf": [
        {"$ref": "#/components/schemas/NodeReport"},
        {"type": "object", "description": "a network: NetJSON, meshviewer, nodes.json and others"},
    ]
}
REPORT_BODY["content"]["text/plain"] = {
    "schema": {"type": "string", "description": "the same, as OpenWISP's receive strategy sends it"}
}
COMPONENTS: Final = documents.components(NodeReport)
