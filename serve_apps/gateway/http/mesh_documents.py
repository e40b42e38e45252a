"""The answers and requests of the gateway, as its OpenAPI document tells them."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypeAliasType

from actors.alerts.contract import ChannelState
from actors.mesh.contract import MAX_PORT
from actors.topology.provenance import Network
from serve_apps.gateway.decoding import MSGPACK, NDJSON
from serve_apps.web import documents, idempotency
from serve_apps.web.documents import example

MeshNodeState = TypeAliasType(
    "MeshNodeState", Literal["up", "silent"]
)  # a neighbour hears it, or none
LinkState = TypeAliasType("LinkState", Literal["up", "down"])  # up in both directions, or not
AlertingState = TypeAliasType("AlertingState", Literal["ready", "log only", "unavailable"])
# What a probe comes to; returned: the destination was found unreachable.
ProbeState = TypeAliasType("ProbeState", Literal["delivered", "returned", "under way"])
RECEIPTS: Final = 10_000  # of one request
NAMES: Final = "by id, of the nodes of this answer that have a name"
_NAME: Final = "host name or label; null: it has none"
_NEXT: Final = "cursor of the next page; null: this is the last one"


class Health(BaseModel):
    """The process answers."""

    model_config = example(status="ok")
    status: Literal["ok"]


class Readiness(BaseModel):
    """All networks of the session can be used, and are known as they should be."""

    model_config = example(status="ready", progress="ready", networks=["emulated"])
    status: Literal["ready"]
    progress: str
    networks: list[Network] = Field(description="what this session is: observed, emulated, or both")


class AlertChannel(BaseModel):
    """How people are told of alerts in one way. `x0 status` says why it is not up."""

    name: str
    state: ChannelState
    pending: int = Field(description="notices that wait for it")


class AlertChannels(BaseModel):
    """Whether people are told of alerts."""

    state: AlertingState = Field(
        description="log only: no channel is configured; unavailable: nobody answers"
    )
    channels: list[AlertChannel]


class Dependencies(BaseModel):
    """What the gateway stands on."""

    model_config = example(
        mesh="ready",
        shards_down={},
        observed=None,
        troubles=[],
        alerts={
            "state": "ready",
            "channels": [{"name": "alertmanager", "state": "up", "pending": 0}],
        },
    )
    mesh: str | None = Field(description="ready, or what is waited for; null: none is emulated")
    observed: str | None = Field(description="ready, or what is waited for; null: none is observed")
    troubles: list[str] = Field(description="why the observed network is not known as it should be")
    shards_down: dict[str, str] = Field(description="shards that do not answer, and why")
    alerts: AlertChannels | None = Field(description="null: nobody is to be told of alerts")


class ShardState(BaseModel):
    """A shard that answers. Times in s, memory in bytes."""

    name: str
    pid: int
    version: int = Field(description="of the placement that it works by")
    partitions: list[int]
    hears: list[str] = Field(description="shards that links which are up lead to")
    nodes: int = Field(description="those that the map has")
    left: int = Field(description="nodes that the map does not have any more")
    unheard: int = Field(description="nodes with links in the map, none of which is up")
    neighbours: int = Field(description="directed links of its nodes")
    neighbours_up: int
    silent: int
    database: int = Field(description="advertisements that it knows")
    database_version: int
    digest: str
    routes_version: int
    open_messages: int = Field(description="accepted, neither delivered nor returned")
    unread_messages: int
    unread_of_left: int = Field(description="those of nodes that left")
    in_transit: int
    hop_count: int
    largest_lag_s: float = Field(description="of its event loop, in the last ten minutes")
    starved_s: float
    rss_bytes: int
    routes_current: bool


class ActorState(BaseModel):
    """An actor beside the mesh."""

    state: str
    why: str


class MeshState(BaseModel):
    """How the emulated mesh is."""

    networks: list[Network] = Field(description="of which this tells")
    healthy: bool = Field(description="all shards answer, and nine in ten nodes are heard")
    unwell: list[str] = Field(description="why it is not healthy")
    source: str
    format: str
    nodes: int
    links: int
    left_out: dict[str, int]
    warnings: list[str]
    refresh_error: str
    neighbours_up: int
    neighbours: int
    silenced: int
    cut: int
    placement_version: int
    hello_s: float
    shards: list[ShardState]
    down: dict[str, str] = Field(description="shards that do not answer, and why")
    flags: dict[str, str]
    actors: dict[str, ActorState] = Field(description="those beside the mesh")


class Node(BaseModel):
    """A node in the list."""

    id: str
    name: str | None = Field(description=_NAME)
    state: MeshNodeState
    links: int
    gateway: bool | None = Field(description="leads to the internet, by the map; null: not told")
    clients: int | None = Field(description="people's devices, by the map; null: not told")
    location: tuple[float, float] | None = Field(description="latitude and longitude, by the map")


class NodeList(BaseModel):
    """All nodes, or a page of them."""

    model_config = example(
        nodes=[
            {
                "id": "n0001",
                "name": "church tower",
                "state": "up",
                "links": 3,
                "gateway": None,
                "clients": 4,
                "location": [50.77, 6.08],
            }
        ],
        next=None,
    )
    nodes: list[Node]
    next: str | None = Field(description=_NEXT)


class Neighbour(BaseModel):
    """A neighbour that is up."""

    id: str
    name: str | None = Field(description=_NAME)
    etx: float = Field(description="expected transmissions")


class NodeDetail(BaseModel):
    """One node."""

    model_config = example(
        id="n0001",
        name="church tower",
        state="up",
        neighbours=[{"id": "n0002", "name": None, "etx": 1.5}],
    )
    id: str
    name: str | None = Field(description=_NAME)
    state: MeshNodeState
    neighbours: list[Neighbour]


class Link(BaseModel):
    """A link; ETX and quality are null where it is down."""

    a: str
    b: str
    a_name: str | None = Field(description=_NAME)
    b_name: str | None = Field(description=_NAME)
    kind: str
    state: LinkState
    etx_a_to_b: float | None
    etx_b_to_a: float | None
    quality_a_to_b: float | None = Field(description="delivery probability, as last heard")
    quality_b_to_a: float | None


class LinkList(BaseModel):
    """All links, or a page of them."""

    links: list[Link]
    next: str | None = Field(description=_NEXT)


class RoutePath(BaseModel):
    """A path from the source to the destination."""

    path: list[str]
    metric: float = Field(description="expected transmissions, in all")


class Route(RoutePath):
    """The route in use, and loop-free alternates over other neighbours, the best first."""

    model_config = example(
        source="n0001",
        destination="n0003",
        path=["n0001", "n0002", "n0003"],
        metric=2.5,
        alternates=[{"path": ["n0001", "n0004", "n0003"], "metric": 3.1}],
        names={"n0001": "church tower"},
    )
    source: str
    destination: str
    alternates: list[RoutePath]
    names: dict[str, str] = Field(description=NAMES)


class RefusedMessage(BaseModel):
    """A message that was not taken."""

    index: int = Field(description="position in the request")
    status: int = Field(description="HTTP status of the answer that it alone would get")
    reason: str
    detail: str


class Accepted(BaseModel):
    """What became of each message. What is accepted is kept."""

    model_config = example(
        accepted=1,
        refused=1,
        ids=["4294967297", None],
        refusals=[
            {"index": 1, "status": 404, "reason": "NotFound", "detail": "no mesh node n9: ..."}
        ],
    )
    accepted: int
    refused: int
    ids: list[str | None] = Field(
        description="message ids in the order of the request; null: refused"
    )
    refusals: list[RefusedMessage]


class ProbeOutcome(BaseModel):
    """What became of one message."""

    model_config = example(
        id="4294967297",
        port=50123,
        outcome="delivered",
        seconds=0.03,
        route=["n0001", "n0002", "n0003"],
        transmissions=2.5,
        names={"n0001": "church tower"},
    )
    id: str
    port: int
    outcome: ProbeState
    seconds: float = Field(description="from the request to the outcome, or to giving up waiting")
    route: list[str] = Field(description="by the tables when it was sent; empty: none was known")
    transmissions: float | None = Field(description="expected on that route; null: no route")
    names: dict[str, str] = Field(description=NAMES)


class InboxMessage(BaseModel):
    """A message in an inbox; its payload as text, or in base64 where it is not UTF-8."""

    id: str
    source: str
    destination: str
    port: int
    hops: int
    undeliverable: bool = Field(
        description="our own message `id`, which could not be delivered to `source`"
    )
    payload: str | None = None
    payload_base64: str | None = None
    receipt: str


class InboxMessages(BaseModel):
    """Messages that are not acknowledged; they are offered again until they are."""

    messages: list[InboxMessage]


class Acknowledged(BaseModel):
    """How many receipts were taken."""

    model_config = example(acknowledged=1)
    acknowledged: int


class OutgoingMessage(BaseModel):
    """A message to be sent, with its payload as text or in base64."""

    model_config = ConfigDict(extra="forbid")

    source: str = Field(description="id or name of the sending node")
    destination: str = Field(description="id or name of the receiving node")
    payload: str | None = Field(None, description="text; or give payload_base64")
    payload_base64: str | None = Field(None, json_schema_extra={"contentEncoding": "base64"})
    port: int = Field(0, ge=0, le=MAX_PORT)


class ReceiptList(BaseModel):
    """Receipts of messages, as the inbox gave them."""

    model_config = ConfigDict(extra="forbid")

    receipts: list[str] = Field(max_length=RECEIPTS)


_ONE: Final = {"source": "n0000", "destination": "n0001", "payload": "hello"}

MESSAGES_BODY: Final[dict[str, Any]] = documents.body("OutgoingMessage", example=_ONE)
PROBE_BODY: Final = documents.body("OutgoingMessage", example=_ONE)
MESSAGES_BODY["content"] |= {
    NDJSON: {
        "schema": {"type": "string", "description": "a message a line, of at most 512 KiB"},
        "example": '{"source":"n0000","destination":"n0001","payload":"hello"}\n',
    },
    MSGPACK: {
        "schema": {
            "type": "string",
            "format": "binary",
            "description": "a map of columns: sources, destinations (lists of ids), payloads "
            "(list of bin), ports (list, or one for all; 0 if left out); or a list of messages",
        },
    },
}
IDEMPOTENCY_KEY: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": idempotency.LONGEST},
    "description": "a name of this request, such as a UUID: sent again with the same key it has no "
    "further effect and gets the same answer. Keys are kept for ten minutes.",
}
INBOX_STREAM: Final[dict[str, Any]] = {
    "schema": {"type": "string", "description": "a message a line, as in `messages`"},
    "example": '{"id": "17", "source": "n0000", "destination": "n0001", "port": 0, "hops": 3, '
    '"undeliverable": false, "payload": "hello", "receipt": "0-0-17-0123456789abcdef"}\n',
}
RECEIPTS_BODY: Final = documents.body(
    "ReceiptList", example={"receipts": ["0-0-17-0123456789abcdef"]}
)
COMPONENTS: Final = documents.components(OutgoingMessage, ReceiptList)
