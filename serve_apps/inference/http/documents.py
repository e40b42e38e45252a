"""What inference is asked and answers, as the OpenAPI document tells it."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat
from typing_extensions import TypeAliasType

from actors.runtime.ids import MAX_NODE_ID_LENGTH
from serve_apps.inference.model_file import Card
from serve_apps.web import documents

_STRICT: Final = ConfigDict(extra="forbid", strict=True)
_FEATURES: Final = (
    "How far each feature is above the node's own normal, in robust standard deviations (1.4826"
    " times the median absolute deviation of its recent past). What is not measured is null, or"
    " left out; it is not 0."
)

NodeId = Annotated[str, Field(min_length=1, max_length=MAX_NODE_ID_LENGTH)]
Name = Annotated[str, Field(min_length=1, max_length=128)]
AskedNetwork = TypeAliasType("AskedNetwork", Literal["emulated", "observed"])
# A list, as JSON has no tuples and what is asked is checked strictly.
Ends = Annotated[list[NodeId], Field(min_length=2, max_length=2)]
Deviations = Annotated[dict[Name, FiniteFloat | None], Field(description=_FEATURES)]


class LinkBody(BaseModel):
    """A link; one with one end leaves the network."""

    model_config = _STRICT

    id: Name
    ends: Annotated[list[NodeId], Field(min_length=1, max_length=2)]
    directed: bool = Field(default=False, description="the first end depends on the second only")


class TelemetryBody(BaseModel):
    """What was measured of a network over time, as the incident data sets have it."""

    model_config = _STRICT

    nodes: list[NodeId]
    links: list[LinkBody] = Field(default=[])
    times: list[FiniteFloat] = Field(description="Unix times of the samples, s, ascending")
    metrics: dict[Name, dict[Name, list[FiniteFloat | None]]] = Field(
        description="by metric and series, one value for each time, null where nothing was"
        " measured; a series is called NODE, NODE/LINK or NODE/INTERFACE"
    )


class NetworkBody(BaseModel):
    """The network that is asked about: given here in one of two ways, or else the running one."""

    model_config = _STRICT

    nodes: dict[NodeId, Deviations] | None = Field(None, description="its nodes, with `links`")
    links: list[Ends] = Field(default=[], description="the nodes at both ends of each link")
    telemetry: TelemetryBody | None = Field(None, description="instead of `nodes` and `links`")
    network: AskedNetwork | None = Field(
        None, description="without either: which network of the running session"
    )


class ScoreBody(NetworkBody):
    """Of which network all nodes are to be scored."""


class ExplainBody(NetworkBody):
    """Of which node the score is to be explained."""

    node: NodeId


class RootCauseBody(BaseModel):
    """Of which network the incidents are to be told: given by telemetry, or else the running one.

    Incidents are seen by the metrics `node_up`, `link_up` and `quality`, of which one is enough,
    each row against those before it.
    """

    model_config = _STRICT

    telemetry: TelemetryBody | None = None
    network: AskedNetwork | None = Field(
        None, description="without `telemetry`: which network of the running session"
    )


_WHY: Final = (
    "why its files cannot be used as they are now, so that the last ones that could be still"
    " answer; empty if they can"
)


class ModelShown(BaseModel):
    """Which model has answered."""

    purpose: str
    trained_at: str
    weights_sha256: str
    why: str = Field(description=_WHY)


class Had(BaseModel):
    """Which features were measured at all, somewhere in the network."""

    known: list[str]
    missing: list[str]


class NodeScore(BaseModel):
    """How a node is."""

    score: float = Field(description="logit that it is anomalous")
    probability: float | None = Field(description="calibrated; null if the model is not")
    anomalous: bool = Field(description="whether the score reaches the threshold of the model")
    known: int = Field(description="how many of its features are measured")


class Received(BaseModel):
    """What a node receives of a neighbour, as its host's XDP counts it. No score depends on it."""

    feature: str
    unit: str
    heard_by: str
    from_: str = Field(alias="from")
    value: float
    normal: float | None = Field(description="null: not known yet")
    deviation: float | None = Field(description="robust standard deviations above normal")
    text: str


_RECEIVED: Final = "absent where no host counts packets of its neighbours"


class ScoreReply(BaseModel):
    """How all nodes of a network are."""

    model: ModelShown
    features: Had
    at: float | None = Field(description="when it was measured, Unix time, s; null: not known")
    anomalous: list[str] = Field(description="ids of anomalous nodes, the highest score first")
    nodes: dict[str, NodeScore]
    received: list[Received] = Field(default=[], description=_RECEIVED)


class FeaturePart(BaseModel):
    """What a feature of the node adds to its score."""

    feature: str
    contribution: float = Field(description="Shapley value")
    value: float | None
    normal: float | None
    deviation: float | None = Field(description="null: it is not measured")
    text: str


class NodePart(BaseModel):
    """What a node adds, or several together."""

    nodes: list[str]
    contribution: float = Field(description="Shapley value")
    itself: bool
    text: str


class ExplainReply(BaseModel):
    """Why a node has its score."""

    model: ModelShown
    features_had: Had
    at: float | None
    node: str
    score: float
    probability: float | None
    anomalous: bool
    base: float = Field(description="score with normal features; with all `features` the score")
    features: list[FeaturePart]
    nodes_base: float = Field(description="score with all nodes normal; with `nodes` the score")
    nodes: list[NodePart]
    sentences: list[str] = Field(description="in reading order")
    received: list[Received] = Field(default=[], description=f"of this node and by it; {_RECEIVED}")


class RankedNode(BaseModel):
    """A node that may have caused an incident."""

    node: str
    confidence: float


class RootCauseShown(BaseModel):
    """What an incident comes from."""

    cause: str = Field(description="node, link or outside")
    nodes: list[RankedNode] = Field(description="the most probable first")
    link: list[str] | None = Field(
        description="ends of the failed link; who hears too little, first"
    )
    one_way: bool
    outside: float = Field(description="probability that nothing in the network explains it")
    by: str = Field(description="what has ranked them")


class DisturbedLink(BaseModel):
    """What one end of a link hears of the other."""

    id: str
    heard_by: str
    from_: str = Field(alias="from")
    end: int
    since: float = Field(description="Unix time of the first interval in which it was, s")
    strength: float
    usual: float | None
    now: float | None
    missing: float | None = Field(
        None,
        description="share of the packets that usually arrive that did not; absent where no host"
        " counts them",
    )


class IncidentShown(BaseModel):
    """An incident, its root cause and the evidence."""

    text: str
    incident: str
    phase: str
    since: float
    root: RootCauseShown | None
    links_disturbed: int
    links: list[DisturbedLink] = Field(description="the most disturbed first")
    silent: dict[str, float] = Field(description="silent nodes, with the Unix time since when")
    returns: int
    features: list[str] = Field(description="metrics that there were to judge by")
    why: str = Field(description="why it was closed; empty while it is open")


class RootCauseReply(BaseModel):
    """The incidents of a network, the oldest first."""

    model: ModelShown | None = Field(
        description="what orders nodes where enough is measured; null: there is none that can be"
        " used, and the evidence alone ranks"
    )
    incidents: list[IncidentShown]


class ModelState(BaseModel):
    """A model, or why there is none."""

    usable: bool = Field(description="whether there is one that answers")
    why: str = Field(description=_WHY + "; or why there is none")
    card: Card | None = Field(description="of the one that answers")


class ModelReply(BaseModel):
    """The models that answer here, by purpose."""

    models: dict[str, ModelState]


class Status(BaseModel):
    """Whether it works."""

    status: str


class Readiness(Status):
    """Whether questions can be answered."""

    why: str = Field(description="what is not as it should be; empty if all is")


COMPONENTS: Final[dict[str, Any]] = documents.components(ScoreBody, ExplainBody, RootCauseBody)
_NETWORK: Final = {
    "nodes": {
        "n0001": {"loss_rate": 0.4, "rssi": -0.2, "cpu": 0.1},
        "n0002": {"loss_rate": 7.5, "rssi": -3.0, "latency": 4.0, "cpu": None},
        "n0003": {},
    },
    "links": [["n0001", "n0002"], ["n0002", "n0003"]],
}
SCORE_BODY: Final = documents.body(
    "ScoreBody",
    examples={
        "a network that is given": {"value": _NETWORK},
        "the running network": {"value": {}},
    },
)
EXPLAIN_BODY: Final = documents.body(
    "ExplainBody",
    examples={
        "a node of a network that is given": {"value": {**_NETWORK, "node": "n0002"}},
        "a node of the running network": {"value": {"node": "n0002"}},
    },
)
ROOT_CAUSE_BODY: Final = documents.body(
    "RootCauseBody",
    examples={
        "the running network": {"value": {}},
        "telemetry": {
            "value": {
                "telemetry": {
                    "nodes": ["n0001", "n0002", "n0003"],
                    "links": [
                        {"id": "l1", "ends": ["n0001", "n0002"]},
                        {"id": "l2", "ends": ["n0002", "n0003"]},
                    ],
                    "times": [60.0, 120.0, 180.0, 240.0, 300.0, 360.0],
                    "metrics": {
                        "node_up": {"n0002": [1, 1, 1, 1, 1, 0]},
                        "quality": {
                            "n0001/l1": [0.9, 0.9, 0.9, 0.9, 0.9, 0],
                            "n0003/l2": [0.9, 0.9, 0.9, 0.9, 0.9, 0],
                        },
                    },
                }
            }
        },
    },
)
