"""Whatever fails in a network is one incident, and what it comes from is named at once."""

from __future__ import annotations

from random import Random  # noqa: TC003 - hypothesis reads it

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.topology.events import EventKind, EventSeverity, NetworkEvent
from serve_apps.inference.evidence_ranking import EvidenceRanker
from serve_apps.inference.incident_events import still_open
from serve_apps.inference.incident_watch import IncidentWatch, Outcome
from serve_apps.inference.live_root_cause import Cause, RootCause
from tests.unit.inference.looks import INTERVAL_S, Looks, grid

CALM = 4  # intervals after which what is known to be usual is settled
TREE = [("gw", "m"), ("m", "p"), ("p", "x"), ("p", "y"), ("gw", "q"), ("m", "q")]


def opened(outcome: Outcome) -> list[NetworkEvent]:
    return [event for event in outcome.events if event.kind is EventKind.INCIDENT_OPENED]


def root(looks: Looks) -> RootCause:
    (incident,) = looks.watch.incidents.open
    assert incident.root is not None
    return incident.root


def test_a_silent_node_is_named_and_not_its_neighbours() -> None:
    """All its links are down; each neighbour lost one."""
    looks = Looks(grid())
    assert looks.interval(CALM).events == ()
    looks.kill("n11")
    (event,) = opened(looks.interval())
    assert root(looks).cause is Cause.NODE
    assert root(looks).nodes[0].node == "n11"
    assert root(looks).nodes[0].confidence > 0.9
    assert event.nodes[0] == "n11"
    assert event.severity is EventSeverity.CRITICAL
    assert event.data["root"]["nodes"][0]["node"] == "n11"
    assert event.data["silent"] == {"n11": looks.at}
    assert {"node_up", "link_up"} <= set(event.data["features"])


def test_it_is_closed_when_all_is_as_usual_again_and_not_before() -> None:
    looks = Looks(grid())
    looks.interval(CALM)
    looks.kill("n11")
    looks.interval(40)  # however long it lasts, that does not become usual
    assert root(looks).nodes[0].node == "n11"
    looks.silent.clear()
    assert looks.interval(2).events == ()
    (event,) = looks.interval().events
    assert event.kind is EventKind.INCIDENT_CLOSED
    assert looks.watch.incidents.open == []
    assert looks.interval(5).events == ()


def test_half_of_the_news_is_enough() -> None:
    """Two of the four neighbours have noticed so far."""
    looks = Looks(grid())
    looks.interval(CALM)
    looks.down = {("n01", "n11"), ("n10", "n11")}
    looks.interval()
    assert root(looks).nodes[0].node == "n11"


@pytest.mark.parametrize("link", [("n11", "n12"), ("n00", "n01")])
def test_a_cut_link_is_named_with_both_ends_first(link: tuple[str, str]) -> None:
    looks = Looks(grid())
    looks.interval(CALM)
    looks.down = {link}
    looks.interval()
    found = root(looks)
    assert found.cause is Cause.LINK
    assert found.link is not None
    assert {*found.link} == {*link} == {each.node for each in found.nodes[:2]}
    assert not found.one_way


@pytest.mark.parametrize(("sender", "receiver"), [("n11", "n12"), ("n12", "n11")])
def test_one_way_loss_is_named_with_its_direction(sender: str, receiver: str) -> None:
    """The end that hears too little comes first."""
    looks = Looks(grid(), noise=0.02)
    looks.interval(10)
    looks.quality[f"{sender}>{receiver}"] = 0.6
    (event,) = opened(looks.interval())
    assert root(looks).link == (receiver, sender)
    assert root(looks).one_way
    assert root(looks).nodes[0].node == receiver
    (half,) = event.data["links"]
    assert (half["from"], half["heard_by"]) == (sender, receiver)
    assert half["usual"] == pytest.approx(1.0, abs=0.05)
    assert half["now"] == pytest.approx(0.6, abs=0.05)
    assert event.severity is EventSeverity.WARNING


def test_who_is_cut_off_from_the_gateway_is_no_root() -> None:
    """Those behind work and hear each other; the link that was cut is named."""
    looks = Looks(TREE)
    looks.interval(CALM)
    looks.down = {("m", "p")}
    looks.interval()
    assert {*(root(looks).link or ())} == {"m", "p"}
    assert {each.node for each in root(looks).nodes[:2]} == {"m", "p"}


def test_who_is_silent_behind_a_dead_node_is_no_root() -> None:
    """Nobody sees them any more; the node that alone leads to them is named."""
    looks = Looks(TREE)
    looks.interval(CALM)
    looks.silent = {"p", "x", "y"}
    looks.interval()
    assert root(looks).nodes[0].node == "p"
    assert len(looks.watch.incidents.open) == 1


def test_a_node_that_hears_nobody_well_is_named() -> None:
    looks = Looks(grid(), noise=0.02)
    looks.interval(10)
    for neighbour in ("n01", "n10", "n12", "n21"):
        looks.quality[f"{neighbour}>n11"] = 0.4
    looks.interval()
    assert root(looks).cause is Cause.NODE
    assert root(looks).nodes[0].node == "n11"


def test_a_flapping_link_is_one_incident() -> None:
    looks = Looks(grid())
    looks.interval(CALM)
    kinds = []
    for _ in range(6):
        looks.down = {("n11", "n12")}
        kinds += [event.kind for event in looks.interval().events]
        looks.down = set()
        for _ in range(2):
            kinds += [event.kind for event in looks.interval().events]
    assert kinds == [EventKind.INCIDENT_OPENED]
    assert {*(root(looks).link or ())} == {"n11", "n12"}
    assert looks.watch.incidents.open[0].returns == 5


def test_two_faults_apart_are_two_incidents_and_one_beside_the_first_joins_it() -> None:
    looks = Looks(grid(5))
    looks.interval(CALM)
    looks.down = {("n00", "n01"), ("n33", "n34")}
    assert len(opened(looks.interval())) == 2
    looks.down |= {("n01", "n02")}
    (event,) = looks.interval().events
    assert event.kind is EventKind.INCIDENT_CHANGED
    assert event.nodes[0] == "n01"
    looks.down |= {("n02", "n03"), ("n03", "n04"), ("n04", "n14"), ("n14", "n24"), ("n24", "n34")}
    kinds = [event.kind for event in looks.interval().events]
    assert kinds == [EventKind.INCIDENT_CHANGED, EventKind.INCIDENT_CLOSED]
    assert len(looks.watch.incidents.open) == 1


def test_much_that_shares_no_node_comes_from_outside() -> None:
    looks = Looks(grid(6))
    looks.interval(CALM)
    looks.quality = {f"{a}>{b}": 0.3 for a, b in grid(6)}
    looks.quality |= {f"{b}>{a}": 0.3 for a, b in grid(6)}
    looks.interval()
    assert root(looks).cause is Cause.OUTSIDE
    assert root(looks).outside > 0.9


def test_one_lost_hello_and_the_noise_of_a_radio_are_no_incident() -> None:
    looks = Looks(grid(), noise=0.06)
    for node in grid():
        looks.quality[f"{node[0]}>{node[1]}"] = 0.8
    for _ in range(60):
        assert looks.interval().events == ()


def test_what_never_worked_is_no_incident() -> None:
    looks = Looks(grid(), down={("n11", "n12")}, silent={"n33"})
    assert looks.interval(10).events == ()


def test_unknown_is_not_well() -> None:
    """An incident whose links nobody tells of any more stays open for long, and then says why."""
    looks = Looks(grid())
    looks.interval(CALM)
    looks.down = {("n11", "n12")}
    looks.interval()
    looks.unknown = {("n11", "n12")}
    assert looks.interval(20).events == ()
    assert len(looks.watch.incidents.open) == 1
    events = [event for _ in range(60) for event in looks.interval().events]
    (event,) = events
    assert event.kind is EventKind.INCIDENT_CLOSED
    assert event.data["why"] == "nothing is known of it any more"


def test_an_interval_without_a_look_changes_nothing() -> None:
    looks = Looks(grid())
    looks.interval(CALM)
    looks.kill("n11")
    looks.interval()
    outcome = looks.watch.close(looks.at + INTERVAL_S)
    assert outcome.disturbances is None
    assert outcome.events == ()
    assert len(looks.watch.incidents.open) == 1


def test_after_a_restart_it_goes_on_and_is_closed_when_it_is_over() -> None:
    """What is broken at the restart is not taken for usual."""
    looks = Looks(grid())
    looks.interval(CALM)
    looks.quality["n00>n01"] = 0.5
    first = looks.interval().events
    looks.kill("n22")
    second = looks.interval().events
    before = still_open([*first, *second])
    assert [one.id for one in before] == [one.id for one in looks.watch.incidents.open]

    looks.watch = IncidentWatch(EvidenceRanker())
    looks.watch.go_on(before)
    looks.quality["n00>n01"] = 0.5
    assert looks.interval(10).events == ()
    assert [one.root.nodes[0].node for one in looks.watch.incidents.open if one.root] == [
        "n01",
        "n22",
    ]
    looks.quality, looks.silent = {}, set()
    events = looks.interval(3).events
    assert [event.kind for event in events] == [EventKind.INCIDENT_CLOSED] * 2
    assert still_open([*first, *second, *events]) == []


def test_events_that_cannot_be_read_cost_themselves() -> None:
    looks = Looks(grid())
    looks.interval(CALM)
    looks.kill("n22")
    (event,) = looks.interval().events
    spoilt = type(event)(
        **{name: getattr(event, name) for name in event.__slots__ if name != "data"},
        data={"incident": "other", "links": 3},
    )
    assert [one.id for one in still_open([spoilt, event])] == [event.data["incident"]]


def test_a_network_that_grows_keeps_what_is_usual() -> None:
    looks = Looks(grid())
    looks.interval(CALM)
    looks.kill("n11")
    looks.interval()
    looks.links = [("a0", "n00"), *looks.links]
    assert looks.interval(3).events == ()
    assert root(looks).nodes[0].node == "n11"
    looks.silent.clear()
    assert [event.kind for event in looks.interval(3).events] == [EventKind.INCIDENT_CLOSED]


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(16)), st.integers(0, 15), st.randoms())
def test_names_and_order_do_not_matter(order: list[int], victim: int, shuffle: Random) -> None:
    """Another name of each node, and another order of the links, give the same answer."""
    old = sorted({end for link in grid() for end in link})
    new = {name: f"x{place:02}" for name, place in zip(old, order, strict=True)}
    links = [tuple(sorted((new[a], new[b]))) for a, b in grid()]
    shuffle.shuffle(links)
    answers = []
    for looks, dead in ((Looks(grid()), old[victim]), (Looks(links), new[old[victim]])):
        looks.interval(CALM)
        looks.kill(dead)
        looks.interval()
        answers.append(root(looks).nodes[0])
    assert answers[1].node == new[answers[0].node]
    assert answers[1].confidence == pytest.approx(answers[0].confidence)
