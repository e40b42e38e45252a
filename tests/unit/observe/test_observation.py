"""What the observer makes of answers: members that stay, incidents with both sides."""

from __future__ import annotations

import zlib
from dataclasses import replace
from itertools import pairwise

import pytest

from actors.observe import saving
from actors.observe.contract import ObserverRules
from actors.observe.merging import LinkKey
from actors.observe.source_record import SourceRecord
from actors.runtime.errors import Conflict
from actors.topology.errors import UnknownNode
from actors.topology.network import LeftOut, NetworkNode
from tests.unit.observe.networks import Run, kinds, link, reading

TEN = "abcdefghij"
CHAIN = [a + b for a, b in pairwise(TEN)]


def test_the_first_look_is_two_events_and_no_alarm() -> None:
    """All nodes that join at once are one event, and so are all links."""
    run = Run()
    assert kinds(run.answer(reading(TEN, CHAIN))) == ["node_joined", "link_added"]
    assert set(run.states().values()) == {"up"}


def test_who_is_dropped_from_the_map_stays_a_member_with_a_time() -> None:
    """It is gone, since when, and comes back as the node that it was."""
    run = Run()
    run.answer(reading("abc", ["ab", "bc"]))
    joined = run.world.members["c"].joined_at
    assert kinds(run.answer(reading("ab", ["ab"]))) == ["node_gone"]
    assert run.world.members["c"].since == run.at
    assert run.conditions() == {"a b wifi": "up", "b c wifi": "down"}
    (back,) = run.answer(reading("abc", ["ab", "bc"]))
    assert (back.kind, back.data["links"]) == ("node_back", {"up": [["b", "c", "wifi"]]})
    assert run.world.members["c"].joined_at == joined


def test_a_silent_node_is_listed_and_not_heard() -> None:
    """By its flag, or by its age on the source's own clock where there is no flag."""
    run = Run()
    old = NetworkNode("d", seen_at=run.at - 101)
    run.answer(reading(["a", NetworkNode("b", online=False), old], ["ab"], made_at=run.at))
    assert run.states() == {"a": "up", "b": "silent", "d": "silent"}
    assert run.conditions() == {"a b wifi": "down"}


def test_a_split_lists_both_sides_and_who_lost_the_gateway() -> None:
    """The nodes on the other side work, and are cut off until the link is back."""
    run = Run()
    nodes = [NetworkNode(n, online=True, gateway=n == "a", clients=2) for n in "abcde"]
    run.answer(reading(nodes, ["ab", "bc", "cd", "de"]))
    down, split, lost = run.answer(reading(nodes, ["ab", "bc", "de"]))
    assert (down.kind, down.link) == ("link_down", ("c", "d"))
    assert (split.kind, split.severity) == ("split", "critical")
    assert split.data["sides"] == [["a", "b", "c"], ["d", "e"]]
    assert split.data["clients"] == 4
    assert (lost.kind, lost.nodes) == ("gateway_lost", ("d", "e"))
    assert run.states()["e"] == "cut_off"
    assert kinds(run.answer(reading(nodes, ["ab", "bc", "cd", "de"]))) == [
        "link_up",
        "rejoined",
        "gateway_back",
    ]


def test_a_part_with_a_gateway_of_its_own_is_split_off_and_not_cut_off() -> None:
    """It is an incident all the same."""
    run = Run()
    nodes = [NetworkNode(n, online=True, gateway=n in "ae") for n in "abcde"]
    run.answer(reading(nodes, ["ab", "bc", "cd", "de"]))
    assert kinds(run.answer(reading(nodes, ["ab", "bc", "de"]))) == ["link_down", "split"]
    assert set(run.states().values()) == {"up"}


def test_islands_that_change_size_do_not_exchange_the_mesh() -> None:
    """The main part is who it was, also when another grows larger."""
    run = Run()
    run.answer(reading("abcdefg", ["ab", "bc", "cd", "ef", "fg"]))
    main = run.world.parts.main
    run.answer(reading("abcdefghij", ["ab", "bc", "ef", "fg", "gh", "hi", "ij", "jd"]))
    assert run.world.parts.main == main
    states = run.states()
    assert {name for name, state in states.items() if state == "up"} == set("abc")
    assert states["d"] == "cut_off"


def test_a_map_that_lost_much_is_held_until_it_is_said_again() -> None:
    """The last good state stays, this is said, and so is the end of it."""
    run = Run()
    run.answer(reading(TEN, CHAIN))
    (held,) = run.answer(reading("abc", ["ab", "bc"]))
    assert (held.kind, held.data["why"]) == (
        "map_held",
        "7 of the 10 nodes that it heard are missing",
    )
    assert set(run.states().values()) == {"up"}
    accepted = run.answer(reading("abc", ["ab", "bc"]))
    assert kinds(accepted) == ["map_accepted"] + ["node_gone"] * 7
    assert len(run.world.members) == 10


def test_different_losses_are_not_the_same_answer() -> None:
    """Only answers that say about the same make it true."""
    run = Run()
    run.answer(reading(TEN, CHAIN))
    run.answer(reading("abc"))
    assert run.answer(reading("hij")) == []
    assert kinds(run.answer(reading(TEN, CHAIN))) == ["map_accepted"]


def test_all_links_at_once_are_not_lost() -> None:
    """A map whose links are missing is held as well."""
    run = Run()
    run.answer(reading(TEN, CHAIN))
    assert kinds(run.answer(reading(TEN))) == ["map_held"]


def test_odd_records_above_the_share_hold_the_map_however_often() -> None:
    """Below it they are counted."""
    run = Run()
    odd = tuple(LeftOut("dangling links", f"links[{i}]", "no such node") for i in range(3))
    run.answer(reading(TEN, CHAIN, records=19 + 1, left_out=odd[:1]))
    assert run.world.records["map"].account.left_out == {"dangling links": 1}
    many = reading("abcdefghi", CHAIN[:8], records=17 + 3, left_out=odd)
    (held,) = run.answer(many)
    assert "15% of its 20 records are odd (3 dangling links)" in held.data["why"]
    for _ in range(2):
        assert run.answer(many) == []
        assert run.answer(None) == []
    assert run.states()["j"] == "up"


def test_a_map_that_does_not_advance_is_stale_and_nothing_is_known() -> None:
    """By its own time, whether it is the same file or a new one; then it is what it was."""
    run = Run()
    nodes = ["a", "b", NetworkNode("c", online=False)]
    made_at = run.at
    run.answer(reading(nodes, ["ab"], made_at))
    for _ in range(4):
        assert run.answer(reading(nodes, ["ab"], made_at)) == []
    (stale,) = run.answer(None)
    assert (stale.kind, sorted(stale.nodes)) == ("map_stale", ["a", "b", "c"])
    assert set(run.states().values()) == {"unknown"}
    (fresh,) = run.answer(reading(nodes, ["ab"], run.at))
    assert fresh.kind == "map_fresh"
    assert run.states() == {"a": "up", "b": "up", "c": "silent"}


def test_a_source_that_fails_makes_nobody_silent() -> None:
    """Its last words stay until they are too old."""
    run = Run()
    run.answer(reading("ab", ["ab"]))
    assert kinds(run.fail()) == ["source_failed"]
    assert set(run.states().values()) == {"up"}
    assert kinds(run.later(300)) == ["map_stale"]
    assert kinds(run.answer(reading("ab", ["ab"]))) == ["source_back", "map_fresh"]


@pytest.mark.parametrize("jump_s", [-86_400.0, -120.0, 120.0, 86_400.0, 3e8])
def test_a_jump_of_the_wall_clock_does_no_harm(jump_s: float) -> None:
    """Neither is a map stale then, nor a node silent, nor anybody retired."""
    run = Run()
    made_at = run.at
    nodes = [NetworkNode("a", seen_at=made_at), NetworkNode("b", seen_at=made_at - 60)]
    run.answer(reading(nodes, ["ab"], made_at))
    run.at += jump_s
    for minutes in range(1, 20):
        now = made_at + 60 * minutes
        moved = [replace(node, seen_at=now - 60 * row) for row, node in enumerate(nodes)]
        assert run.answer(reading(moved, ["ab"], now)) == []
    assert set(run.states().values()) == {"up"}


def test_a_restart_makes_no_events() -> None:
    """Members, states and numbers go on, also on a machine that has booted."""
    run = Run("map", "other")
    run.answer(reading([NetworkNode("a", name="Attic", online=True), "b", "c"], ["ab", "bc"]))
    run.answer(reading("xy", ["xy"], source="other"), "other")
    run.answer(reading([NetworkNode("a", name="Attic", online=True), "b"], ["ab"]))
    before, last = run.states(), run.world.ring.last
    stored = saving.encode(run.world, run.now)
    run.at, run.steady = run.at + 7200, 5.0
    sources = [SourceRecord("map", "test"), SourceRecord("other", "test")]
    run.world = saving.decode(stored, run.world.rules, sources, run.now)
    assert run.answer(reading([NetworkNode("a", online=True), "b"], ["ab"])) == []
    assert run.answer(reading("xy", ["xy"], source="other"), "other") == []
    assert run.states() == before
    assert run.world.members["a"].facts.name == "Attic"
    assert run.world.ring.page(0, 100).events[-1].number == last


@pytest.mark.parametrize("damage", [b"", b"x" * 40, zlib.compress(b"\x81")])
def test_a_damaged_state_is_refused(damage: bytes) -> None:
    """It is no state without members."""
    with pytest.raises(ValueError, match="damaged"):
        saving.decode(damage, ObserverRules(), [], Run().now)


def test_a_node_of_two_sources_is_one_by_its_address() -> None:
    """The first id stays; each source may know a direction of its links."""
    run = Run("map", "babel")
    first = [NetworkNode("a", addresses=("02:01",), online=True), NetworkNode("b", online=True)]
    run.answer(reading(first, [link("a", "b", (0.9, None))]))
    second = [NetworkNode("r1", addresses=("02:01",)), NetworkNode("b")]
    events = run.answer(reading(second, [link("b", "r1", (0.7, None), "other")]), "babel")
    assert kinds(events) == ["node_joined", "link_added"]
    assert list(run.world.members) == ["a", "b"]
    (only,) = run.world.links.values()
    assert only.key == LinkKey("a", "b", "wifi")
    assert only.seen.quality == (0.9, 0.7)


def test_the_newest_word_counts_and_repeating_is_no_new_word() -> None:
    """A source that goes on saying the old name does not win it back; both are remembered."""
    run = Run("map", "other")

    def named(name: str) -> list[NetworkNode]:
        return [NetworkNode("a", name=name, online=True)]

    run.answer(reading(named("Old")))
    run.answer(reading(named("Old"), source="other"), "other")
    (event,) = run.answer(reading(named("New"), source="other"), "other")
    assert (event.kind, event.data["names"]) == ("node_renamed", ["Old", "New"])
    for _ in range(3):
        assert run.answer(reading(named("Old"))) == []
    assert run.world.members["a"].facts.name == "New"


def test_what_one_source_hears_is_up_whatever_the_others_say() -> None:
    """A node that stands in two maps is silent in one of them."""
    run = Run("map", "other")
    run.answer(reading(["a"]))
    run.answer(reading([NetworkNode("a", online=False)], source="other"), "other")
    assert run.states() == {"a": "up"}
    assert kinds(run.answer(reading([NetworkNode("a", online=False)]))) == ["node_silent"]


def test_a_link_is_degraded_and_recovers_with_hysteresis() -> None:
    """Against what is usual for it; between the two bounds it stays what it was."""
    run = Run()
    said = []
    for quality in (0.9, 0.8, 0.5, 0.7, 0.5, 0.85, 0.7):
        said += run.answer(reading("ab", [link("a", "b", (quality, 1.0))]))
    assert kinds(said[2:]) == ["link_degraded", "link_recovered"]


def test_an_unknown_quality_stays_unknown() -> None:
    """It is neither zero nor one, and no change."""
    run = Run()
    run.answer(reading("ab", [link("a", "b", (None, None))]))
    assert run.answer(reading("ab", [link("a", "b", (None, 0.2))])) == []
    assert run.world.links[LinkKey("a", "b", "wifi")].seen.quality == (None, 0.2)


def test_nodes_without_links_are_not_cut_off_where_nobody_tells_links() -> None:
    """Absent is not zero."""
    run = Run()
    run.answer(reading("abc"))
    assert set(run.states().values()) == {"up"}


def test_retired_by_hand_until_it_is_heard() -> None:
    """A working node is not retired; a retired one that the map still lists does not join."""
    run = Run()
    run.answer(reading("ab", ["ab"]))
    with pytest.raises(Conflict, match="would join again"):
        run.world.retire("b", run.now)
    with pytest.raises(UnknownNode):
        run.world.retire("x", run.now)
    off = [NetworkNode("a", online=True), NetworkNode("b", online=False)]
    run.answer(reading(off, ["ab"]))
    last = run.world.ring.last
    run.world.retire("b", run.now)
    (event,) = run.since(last)
    assert (event.kind, event.data["links"]) == ("node_retired", {"retired": [["a", "b", "wifi"]]})
    assert run.answer(reading(off, ["ab"])) == []
    assert run.states() == {"a": "up"}
    assert kinds(run.answer(reading("ab", ["ab"]))) == ["node_joined", "link_added"]


def test_retired_after_the_stated_time() -> None:
    """Only the time counts in which it was observed."""
    run = Run()
    run.answer(reading("abc", ["ab", "bc"]))
    for _ in range(17):
        assert "node_retired" not in kinds(run.answer(reading("ab", ["ab"])))
    assert kinds(run.answer(reading("ab", ["ab"])))[-1:] == ["node_retired"]
    assert list(run.world.members) == ["a", "b"]


def test_pushed_reports_are_about_their_nodes_alone() -> None:
    """The others stay, and are silent when they have not reported for the stated time."""
    run = Run()
    run.answer(reading("ab", ["ab"]))
    run.push(reading([NetworkNode("b", telemetry={"load1": 0.3})], source="reports"), whole=False)
    run.push(reading(["c"], source="reports"), whole=False)
    assert run.states() == {"a": "up", "b": "up", "c": "up"}
    assert run.world.members["b"].facts.telemetry == {"load1": 0.3}
    run.answer(None)
    run.answer(None)
    events = run.push(reading(["b"], source="reports"), whole=False)
    assert kinds(events) == ["node_silent"]
    assert events[0].nodes == ("c",)
    with pytest.raises(Conflict, match="is polled"):
        run.push(reading("a", source="map"))


def test_a_changed_route_is_told_by_the_ids() -> None:
    """Also where the source gives an address; told again, it is no change."""
    run = Run()

    def over(hop: str) -> list[NetworkNode]:
        return [
            NetworkNode("a", online=True, nexthop=hop),
            NetworkNode("b", online=True, addresses=("02:0b",)),
            NetworkNode("c", online=True, addresses=("02:0c",)),
        ]

    run.answer(reading(over("02:0b")))
    assert run.answer(reading(over("b"))) == []
    (event,) = run.answer(reading(over("02:0C")))
    assert (event.kind, event.data["routes"]) == ("route_changed", {"a": ["b", "c"]})


def test_nothing_is_judged_before_each_source_was_tried() -> None:
    """What the first one says alone would decide what the network is."""
    run = Run("small", "large")
    assert run.answer(reading("ab", ["ab"], source="small"), "small") == []
    events = run.answer(reading(TEN, CHAIN, source="large"), "large")
    assert kinds(events) == ["node_joined", "link_added"]
    assert set(run.states().values()) == {"up"}


def test_parallel_links_of_a_pair_are_kept_apart_by_kind() -> None:
    """The failure of one is told, and parts nobody."""
    run = Run()
    run.answer(reading("ab", [link("a", "b"), link("b", "a", kind="vpn"), link("a", "b", 0.4)]))
    assert run.world.links[LinkKey("a", "b", "wifi")].seen.parallel == 2
    (event,) = run.answer(reading("ab", [link("a", "b", kind="vpn")]))
    assert (event.kind, event.data["links"]) == ("link_down", {"down": [["a", "b", "wifi"]]})
    assert set(run.states().values()) == {"up"}


def test_pages_of_events_tell_what_is_missed() -> None:
    """Numbers have no gap, and what is no longer kept is counted."""
    run = Run()
    run.answer(reading("ab", ["ab"]))
    page = run.world.ring.page(1, 10)
    assert [event.number for event in page.events] == [2]
    assert (page.missed, run.world.ring.page(0, 1).events[0].number) == (0, 1)
    assert run.world.ring.page(2, 10).events == ()
    assert run.world.ring.page(99, 10).events == ()


def test_who_is_away_is_told_with_name_neighbours_and_clients() -> None:
    """And whether it is a gateway; links are counted, so that a share of them can be told."""
    run = Run()
    hugo = NetworkNode("a", name="hugo", online=True, gateway=True, clients=4)
    run.answer(reading([hugo, "b", "c", "d", "e", "f"], ["ab", "ac", "bc"]))
    off = replace(hugo, online=False)
    event, *_ = run.answer(reading([off, "b", "c", "d", "e", "f"], ["bc"]))
    assert event.kind == "node_silent"
    assert event.data["named"] == {"a": "hugo"}
    assert event.data["clients_of"] == {"a": 4}
    assert event.data["gateways"] == ["a"]
    assert event.data["neighbours"] == {"b": "", "c": ""}
    assert event.data["now"] == {"links": 3}
