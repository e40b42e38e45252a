"""A scenario: questions to the twin as a YAML file, checked before anything is computed.

    name: reload of the tower router
    topology: leipzig.meshviewer.json   # path, URL or radio:N; without it, the live mesh
    hello_s: 1.0
    fail: {nodes: [n1], links: [[n2, n3]], groups: [mast]}
    groups: {mast: {nodes: [n4, n5], links: [[n6, n7]]}}
    traffic: {uniform: 0.1, flows: [{source: n8, destination: n9, rate: 20}]}
    capacity: {default: 100, links: [{ends: [n2, n3], value: 50}]}
    pairs: [[n8, n9]]
    gateways: [n1, n2]                  # instead of those that the map names
    singles: true
    doubles: 20                         # the costliest pairs that must not fail together
    rank_by: clients                    # singles and doubles; or nodes, or pairs
    worst_pairs: 10
    random: {k: 3, of: nodes, samples: 1000, correlation: 0.2}
    cascade: {tolerance: 0.3}
    availability: {node: {mtbf: 2000, mttr: 4}, groups: {mast: {mtbf: 9000, mttr: 12}}}
    advice: {links: 2, max_km: 5}

Every key is optional, and unknown ones are errors. A link is named by its two ends. Rates and
capacities are in one unit, times of `availability` in another. YAML's anchors are refused: nothing
here needs them, and a short file could use them to describe an enormous one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from typing_extensions import TypeAliasType

from actors.runtime import strict_yaml
from actors.runtime.errors import InvalidInput
from actors.runtime.strict_yaml import NotYaml
from actors.twin.limits import MAX_LINKS, MAX_PAIRS, MAX_RETRIES, MAX_SAMPLES, MIN_SAMPLES

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BYTES: Final = 4 * 2**20
_MAX_ITEMS: Final = 100_000  # largest number of items of a list
_MAX_ANSWERED_PAIRS: Final = 1000  # most pairs that get results of their own
_MAX_GROUPS: Final = 10_000

Name = Annotated[str, Field(min_length=1, max_length=128)]
Ends = tuple[Name, Name]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Names = Annotated[tuple[Name, ...], Field(max_length=_MAX_ITEMS)]
Links = Annotated[tuple[Ends, ...], Field(max_length=_MAX_ITEMS)]
Samples = Annotated[int, Field(ge=MIN_SAMPLES, le=MAX_SAMPLES)]
Confidence = Annotated[float, Field(gt=0, lt=1)]

# Aliases with a name, which the schema of a scenario keeps.
FailingElements = TypeAliasType("FailingElements", Literal["nodes", "links", "elements", "groups"])
NewLink = TypeAliasType("NewLink", Literal["wifi", "other"])
RankBy = TypeAliasType("RankBy", Literal["clients", "nodes", "pairs"])
AvailabilityMethod = TypeAliasType("AvailabilityMethod", Literal["enumeration", "monte-carlo"])


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Members(_Part):
    """Nodes and links that fail together."""

    nodes: Names = ()
    links: Links = ()


class Failing(Members):
    """What fails: nodes, links, and whole groups by name."""

    groups: Names = ()


class Flow(_Part):
    """What one node sends to another."""

    source: Name
    destination: Name
    rate: Positive


class Demand(_Part):
    """Traffic: the same between all pairs, and flows on top."""

    uniform: NotNegative = 0.0
    flows: Annotated[tuple[Flow, ...], Field(max_length=_MAX_ITEMS)] = ()


class LinkCapacity(_Part):
    """What one link carries, both directions together."""

    ends: Ends
    value: Positive


class Capacity(_Part):
    """What links carry."""

    default: Positive
    links: Annotated[tuple[LinkCapacity, ...], Field(max_length=_MAX_ITEMS)] = ()


class Random(_Part):
    """Random failed sets to draw."""

    k: Annotated[int, Field(ge=0)]
    of: FailingElements = "nodes"
    samples: Samples = 1000
    confidence: Confidence = 0.95
    correlation: Annotated[float, Field(ge=0, le=1)] = 0.0


class Cascading(_Part):
    """A cascade to follow; `tolerance` instead of capacities."""

    tolerance: NotNegative | None = None


class Times(_Part):
    """Mean operating time between failures and mean time to repair, in one unit."""

    mtbf: Positive
    mttr: NotNegative


class LinkTimes(Times):
    """The same of one link."""

    ends: Ends


class Reliability(_Part):
    """How often things fail: of each kind, and where it differs."""

    node: Times | None = None
    link: Times | None = None
    nodes: Annotated[dict[Name, Times], Field(max_length=_MAX_ITEMS)] = {}
    links: Annotated[tuple[LinkTimes, ...], Field(max_length=_MAX_ITEMS)] = ()
    groups: Annotated[dict[Name, Times], Field(max_length=_MAX_GROUPS)] = {}
    samples: Samples = 100_000
    confidence: Confidence = 0.95
    method: AvailabilityMethod | None = None


class Advising(_Part):
    """Links to advise: against any single failure, or against the one of `fail`.

    They are of a kind, of which each has its longest, or at most `max_km` long; `anywhere` takes
    nodes in that have no known place or that only tunnels lead to.
    """

    links: Annotated[int, Field(ge=1, le=MAX_LINKS)] = 1
    for_failure: bool = False
    kind: NewLink = "wifi"
    max_km: Annotated[float, Field(gt=0, le=20_100)] | None = None
    anywhere: bool = False


class Scenario(_Part):
    """Everything that one file asks."""

    name: Annotated[str, Field(max_length=200)] = ""
    topology: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    vpn: bool = True
    all_components: bool = False
    hello_s: Annotated[float, Field(ge=0.05, le=60)] | None = None
    retries: Annotated[int, Field(ge=0, le=MAX_RETRIES)] = 3
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    fail: Failing | None = None
    groups: Annotated[dict[Name, Members], Field(max_length=_MAX_GROUPS)] = {}
    traffic: Demand | None = None
    capacity: Capacity | None = None
    pairs: Annotated[tuple[Ends, ...], Field(max_length=_MAX_ANSWERED_PAIRS)] = ()
    gateways: Names | None = None
    singles: bool = False
    doubles: Annotated[int, Field(ge=1, le=MAX_PAIRS)] | None = None
    rank_by: RankBy | None = None
    worst_pairs: Annotated[int, Field(ge=1, le=MAX_PAIRS)] | None = None
    random: Random | None = None
    cascade: Cascading | None = None
    availability: Reliability | None = None
    advice: Advising | None = None

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        asked = (self.fail, self.doubles, self.worst_pairs, self.random, self.availability)
        if not self.singles and all(part is None for part in (*asked, self.advice)):
            raise ValueError(
                "it asks nothing: give fail, singles, doubles, random, availability or advice"
            )
        if self.advice is not None and self.advice.for_failure and self.fail is None:
            raise ValueError("advice for_failure needs fail")
        if self.cascade is not None and self.fail is None and self.random is None:
            raise ValueError("a cascade needs fail or random, which set it off")
        return self


def parse(text: str | bytes, source: str = "scenario") -> Scenario:
    """Read a scenario; `source` is its name in errors.

    Raises:
        InvalidInput: the text is too long, no YAML, or no scenario; `entry` names the place.
    """
    if len(text) > MAX_BYTES:
        raise _refused(source, f"it is longer than {MAX_BYTES} bytes", "Split it into several.")
    try:
        given = strict_yaml.load(text)
    except NotYaml as error:
        raise _refused(source, str(error), "Correct the YAML.") from None
    if not isinstance(given, dict):
        raise _refused(source, "it is not a mapping", "Begin with keys such as `fail:`.")
    return of(given, source)


def of(given: Mapping[str, Any], source: str = "scenario") -> Scenario:
    """Make a scenario of keys and values; `source` is its name in errors.

    Raises:
        InvalidInput: they do not form a scenario; `entry` names the place.
    """
    try:
        return Scenario.model_validate(given)
    except ValidationError as error:
        problem = error.errors()[0]
        entry = ".".join(map(str, problem["loc"]))
        why = problem["msg"].removeprefix("Value error, ")
        raise _refused(
            source, f"{entry or 'the whole'}: {why}", "Correct it there.", entry
        ) from None


def _refused(source: str, why: str, remedy: str, entry: str = "") -> InvalidInput:
    what = f"cannot use the scenario {source}"
    return InvalidInput(what, why, remedy, source=source, entry=entry)
