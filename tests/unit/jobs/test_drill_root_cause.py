"""What the events of incidents say of a fault, within the promised time."""

from __future__ import annotations

from typing import Any

from actors.topology.events import EventKind, EventSeverity, NetworkEvent
from jobs.launch.drill_root_cause import FoundCause, found

BEGAN, INTERVAL_S = 100.0, 5.0


def event(
    at: float,
    nodes: tuple[str, ...],
    incident: str = "one",
    size: int = 1,
    kind: EventKind = EventKind.INCIDENT_OPENED,
    link: list[str] | None = None,
) -> NetworkEvent:
    root: dict[str, Any] = {
        "cause": "node" if link is None else "link",
        "nodes": [
            {"node": node, "confidence": 0.9 - place / 10} for place, node in enumerate(nodes)
        ],
        "link": link,
        "one_way": False,
        "outside": 0.0,
        "by": "evidence",
    }
    data = {"incident": incident, "root": root, "links_disturbed": size, "silent": {}}
    return NetworkEvent(1, at, kind, EventSeverity.WARNING, nodes, None, "", data)


def of(*events: NetworkEvent, failed: str = "a") -> FoundCause:
    return found(events, {failed}, BEGAN, INTERVAL_S)


def test_the_last_answer_in_time_counts_and_the_first_right_one_is_timed() -> None:
    changed = event(109.0, ("a", "b"), kind=EventKind.INCIDENT_CHANGED)
    cause = of(event(104.0, ("b", "a")), changed)
    assert (cause.rank, cause.after_s) == (1, 9.0)
    assert of(event(104.0, ("b", "a"))).rank == 2
    assert of(event(104.0, ("b", "a"))).after_s is None
    assert of(event(104.0, ("b",))).rank is None


def test_what_came_before_or_too_late_does_not_count() -> None:
    for at in (99.0, 111.0):
        cause = of(event(at, ("a",)))
        assert cause.root is None
        assert cause.as_dict()["found"] is None
    closed = event(104.0, ("a",), kind=EventKind.INCIDENT_CLOSED)
    assert of(closed).root is None


def test_of_several_incidents_the_largest_counts() -> None:
    cause = of(event(103.0, ("a",), "one", 1), event(104.0, ("c",), "two", 5))
    assert cause.rank is None
    assert cause.root is not None
    assert cause.root.nodes[0].node == "c"


def test_it_is_told_in_words() -> None:
    label = str.upper
    assert of(event(104.0, ("a", "b"))).in_words(label) == (
        "A 90%, B 80%; what failed is first, after 4.0 s"
    )
    assert of(event(104.0, ("a", "b"), link=["a", "b"])).in_words(label) == (
        "link A--B; what failed is first, after 4.0 s"
    )
    assert of(event(104.0, ("b", "a"))).in_words(label).endswith("what failed is number 2")
    assert of(event(104.0, ("b",))).in_words(label).endswith("what failed is not listed")
    assert of().in_words(label) == "nothing was noticed within 2 intervals of 5 s"
