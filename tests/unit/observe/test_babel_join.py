"""What babeld's lines add up to, and how the tables of several routers become one network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.observe.sources.babel_join import AskedRouter, BabelJoin
from actors.observe.sources.babel_table import MAX_FAULTS, BabelTable

if TYPE_CHECKING:
    from actors.topology.network import NetworkLink, Reading

INFINITE = 65_535


def table(router_id: str, *lines: str) -> BabelTable:
    made = BabelTable()
    for line in ("BABEL 1.0", "version babeld-1.12.1", "host vm", f"my-id {router_id}", *lines):
        made.feed(line)
    return made


def interface(name: str, address: str) -> str:
    return f"add interface {name} up true ipv6 {address}"


def neighbour(
    address: str, on: str, rxcost: int = 256, txcost: int = 256, reach: str = "ffff"
) -> str:
    worse = max(rxcost, txcost)
    return (
        f"add neighbour {address}{on} address {address} if {on} reach {reach} ureach 0000 "
        f"rxcost {rxcost} txcost {txcost} cost {worse}"
    )


def route(origin: str, via: str, on: str, refmetric: int = 0, prefix: str = "fd00::1/128") -> str:
    return (
        f"add route {origin}{via} prefix {prefix} from ::/0 installed yes id {origin} metric 256 "
        f"refmetric {refmetric} via {via} if {on}"
    )


def joined(*routers: AskedRouter | BabelTable) -> Reading:
    asked = [
        each if isinstance(each, AskedRouter) else AskedRouter("", "socket", each, 100.0)
        for each in routers
    ]
    reading = BabelJoin().reading("babeld:test", asked)
    everything = len(reading.nodes) + len(reading.links) + reading.merged + len(reading.left_out)
    assert reading.records + reading.implied == everything
    return reading


def only(reading: Reading) -> NetworkLink:
    (link,) = reading.links
    return link


A = table("aa", interface("wlan0", "fe80::a"), neighbour("fe80::b", "wlan0", 512, 256))
B = table("bb", interface("wlan0", "fe80::b"), neighbour("fe80::a", "wlan0", 256, 512))


def test_each_direction_is_what_its_receiver_measures() -> None:
    """a hears half of b's Hellos, b hears all of a's."""
    link = only(joined(A, B))
    assert (link.a, link.b, link.kind, link.metric, link.up) == ("aa", "bb", "wifi", "babel", True)
    assert link.cost == (256, 512)
    assert link.quality == (1.0, 0.5)


def test_the_other_end_is_taken_at_its_word_where_it_is_not_asked() -> None:
    """Known by a route of its own, it is a node without a record, and its direction its txcost."""
    alone = table(
        "aa",
        interface("wlan0", "fe80::a"),
        neighbour("fe80::b", "wlan0", 512, 341),
        route("bb", "fe80::b", "wlan0"),
    )
    reading = joined(alone)
    assert [node.id for node in reading.nodes] == ["aa", "bb"]
    assert reading.implied == 1
    assert only(reading).cost == (341, 512)


def test_a_neighbour_that_nothing_names_is_left_out_and_said() -> None:
    """Its address alone is no identity, so it costs its own link."""
    reading = joined(table("aa", interface("e0", "fe80::a"), neighbour("fe80::b", "e0")))
    (left_out,) = reading.left_out
    assert left_out.reason == "neighbours whose router is not known"
    assert "fe80::b" in left_out.entry
    assert not reading.links


def test_an_address_stays_known_when_routes_are_gone() -> None:
    """A router that retracts its routes is still the one that it was."""
    join = BabelJoin()
    lines = (interface("e0", "fe80::a"), neighbour("fe80::b", "e0"))
    with_route = table("aa", *lines, route("bb", "fe80::b", "e0"))
    join.reading("s", [AskedRouter("", "x", with_route, 1.0)])
    later = join.reading("s", [AskedRouter("", "x", table("aa", *lines), 2.0)])
    assert (only(later).a, only(later).b) == ("aa", "bb")


def test_a_dead_router_with_a_name_is_one_node_also_after_a_restart() -> None:
    """Its routes outlive it at its neighbours; by an address of its own they are known as its."""
    heard = table(
        "aa",
        interface("wlan0", "fe80::a"),
        neighbour("fe80::b", "wlan0", INFINITE, 512, "0000"),
        route("bb", "fe80::b", "wlan0"),
        route("bb", "fe80::b", "wlan0", prefix="::/0"),
    )
    roof = AskedRouter("roof", "y", B, 1.0)
    known = {node.id: node for node in joined(AskedRouter("", "x", A, 1.0), roof).nodes}
    dead = AskedRouter("roof", "y", None, 0.0, "connection refused")
    for _ in range(2):  # also after another restart, while it still is dead
        join = BabelJoin()
        join.recall(known)
        reading = join.reading("s", [AskedRouter("", "x", heard, 2.0), dead])
        known = {node.id: node for node in reading.nodes}
        assert sorted(known) == ["aa", "roof"]
        assert (known["roof"].online, known["roof"].gateway) == (False, None)
        assert (only(reading).a, only(reading).b, only(reading).up) == ("aa", "roof", False)
        assert known["roof"].addresses == ("fe80::b",)
    # Without that memory nothing says that they are one.
    forgotten = joined(AskedRouter("", "x", heard, 2.0), dead)
    assert sorted(node.id for node in forgotten.nodes) == ["aa", "bb", "roof"]


@pytest.mark.parametrize(
    ("rxcost", "txcost", "reach"), [(INFINITE, 256, "00ff"), (256, INFINITE, "ffff")]
)
def test_an_infinite_cost_is_down(rxcost: int, txcost: int, reach: str) -> None:
    """One direction is enough, since Babel uses no link that is heard one way."""
    lines = (interface("e0", "fe80::a"), neighbour("fe80::b", "e0", rxcost, txcost, reach))
    link = only(joined(table("aa", *lines, route("bb", "fe80::b", "e0"))))
    assert not link.up
    assert 0.0 in link.quality


def test_a_router_that_answers_and_does_not_know_the_neighbour_hears_nothing() -> None:
    """a still lists b; b has no such neighbour any more."""
    link = only(joined(A, table("bb", interface("wlan0", "fe80::b"))))
    assert link.cost == (INFINITE, 512)
    assert not link.up


def dead(reach: str) -> Reading:
    a = table("aa", interface("e0", "fe80::a"), neighbour("fe80::b", "e0", 341, 256, reach))
    return joined(AskedRouter("a", "x", a, 2.0), AskedRouter("b", "y", B, 1.0, "refused"))


def test_a_router_that_stopped_to_answer_and_is_not_heard_is_dead() -> None:
    """Long before the cost of its links is infinite."""
    reading = dead("7fff")
    assert not only(reading).up
    assert {node.id: node.online for node in reading.nodes} == {"a": True, "b": False}
    assert any("does not answer: refused" in note for note in reading.notes)


def test_a_router_that_only_stopped_to_answer_lives() -> None:
    """Its neighbours hear it: the socket is out of reach, the router is not."""
    reading = dead("ffff")
    assert only(reading).up
    assert {node.online for node in reading.nodes} == {True}


def heard_by(*reaches: str) -> bool:
    """Whether z, which has stopped to answer, counts as heard by those who know it so."""
    around = [
        AskedRouter(
            f"n{at}",
            "x",
            table(
                f"n{at}", interface("e0", f"fe80::{at}"), neighbour("fe80::z", "e0", reach=reach)
            ),
            2.0,
        )
        for at, reach in enumerate(reaches)
    ]
    z = table("zz", interface("e0", "fe80::z"))
    reading = joined(*around, AskedRouter("z", "z", z, 1.0, "no answer"))
    return {node.id: node.online for node in reading.nodes}["z"] is True


@pytest.mark.parametrize(
    ("reaches", "heard"),
    [
        (("7fff", "ffff", "ffff"), False),  # the one that looks first has missed nothing before
        (("7f7f", "ffff", "ffff"), True),  # one that loses Hellos anyway says nothing alone
        (("7f7f", "2f7f"), False),  # all of them do
        (("7ff0", "ffff"), False),  # what was lost long ago is forgotten
        (("0fff", "ffff"), False),
        (("00ff", "ffff"), True),  # what it heard before is too long ago
    ],
)
def test_who_hears_well_need_not_wait_for_the_others(
    reaches: tuple[str, ...], *, heard: bool
) -> None:
    """babeld looks for missing Hellos at moments of its own, as much as 3.6 intervals late."""
    assert heard_by(*reaches) is heard


@pytest.mark.parametrize(
    ("here", "there", "up"),
    [
        ("1fff", "1fff", False),
        ("07ff", "1fff", False),
        ("3fff", "1fff", True),  # two lost Hellos happen
        ("1fff", "ffff", True),  # one direction is what its cost says
        ("1fef", "1fff", True),  # of a link that loses Hellos, three say little
        ("1ff8", "1ff9", False),  # what was lost long ago is forgotten
        ("9fff", "1fff", True),  # heard again
    ],
)
def test_a_link_that_both_ends_miss_is_down(here: str, there: str, *, up: bool) -> None:
    """Long before babeld takes it for lost, which it does after twelve missed Hellos."""
    a = table("aa", interface("e0", "fe80::a"), neighbour("fe80::b", "e0", reach=here))
    b = table("bb", interface("e0", "fe80::b"), neighbour("fe80::a", "e0", reach=there))
    for one, other in ((a, b), (b, a)):
        assert only(joined(one, other)).up is up


def test_two_links_of_one_pair_are_two() -> None:
    """They are told apart by their addresses, and one may be a tunnel."""
    one = table(
        "aa",
        interface("wlan0", "fe80::a1"),
        interface("wg0", "fe80::a2"),
        neighbour("fe80::b1", "wlan0"),
        neighbour("fe80::b2", "wg0", 96, 96),
    )
    other = table(
        "bb",
        interface("wlan0", "fe80::b1"),
        interface("wg0", "fe80::b2"),
        neighbour("fe80::a1", "wlan0"),
        neighbour("fe80::a2", "wg0", 96, 96),
    )
    reading = joined(one, other)
    assert sorted(link.kind for link in reading.links) == ["vpn", "wifi"]
    assert reading.merged == 2


def test_one_address_on_two_routers_belongs_to_the_one_that_hears_us() -> None:
    """Link-local addresses need to be unique on their link alone."""
    a = table("aa", interface("e0", "fe80::a"), neighbour("fe80::1", "e0"))
    b = table("bb", interface("e0", "fe80::1"), neighbour("fe80::a", "e0"))
    c = table("cc", interface("e0", "fe80::1"))
    link = only(joined(a, b, c))
    assert (link.a, link.b) == ("aa", "bb")


def test_gateways_announce_the_default_route() -> None:
    """The router itself says so; one that is not asked is known by its route."""
    a = table(
        "aa",
        interface("e0", "fe80::a"),
        neighbour("fe80::b", "e0"),
        route("bb", "fe80::b", "e0", prefix="::/0"),
    )
    asked = joined(a).nodes
    assert [(node.id, node.gateway, node.nexthop) for node in asked] == [
        ("aa", False, "bb"),
        ("bb", True, ""),
    ]
    own = joined(table("aa", "add xroute 0.0.0.0/0-::/0 prefix 0.0.0.0/0 from ::/0 metric 0")).nodes
    assert own[0].gateway is True


def test_a_name_is_the_id_and_outlives_a_new_router_id() -> None:
    """A daemon with a random id stays the same node."""
    nodes = joined(AskedRouter("roof", "x", A, 1.0), AskedRouter("", "y", B, 1.0)).nodes
    assert [(node.id, node.name) for node in nodes] == [("roof", "roof"), ("bb", "vm")]


def test_two_sockets_of_one_router_are_one_node() -> None:
    """The second is left out, and said."""
    reading = joined(A, AskedRouter("", "other", A, 1.0))
    assert [each.reason for each in reading.left_out if "id" in each.reason] == [
        "routers with the id of another"
    ]


def test_a_router_that_never_answered_is_left_out_unless_it_has_a_name() -> None:
    """With a name it is a node that is offline."""
    silent = AskedRouter("", "/run/x", None, 0.0, "connection refused")
    named = AskedRouter("roof", "/run/y", None, 0.0, "connection refused")
    reading = joined(A, silent, named)
    assert [(each.entry, each.why) for each in reading.left_out][:1] == [
        ("/run/x", "connection refused")
    ]
    assert [(n.id, n.online, n.seen_at) for n in reading.nodes if n.id == "roof"] == [
        ("roof", False, None)
    ]


@pytest.mark.parametrize(
    "line",
    [
        "add neighbour",
        "add neighbour x address fe80::1 if e0 reach zz rxcost 1 txcost 1 cost 1",
        "add neighbour x address fe80::1 if e0 reach ffff rxcost 1 txcost 1",
        "add neighbour x address fe80::1 if e0 reach ffff rxcost 70000 txcost 1 cost 1",
        "add route r prefix ::/0 id x metric -1 refmetric 0 via fe80::1 if e0",
        "change interface e0 up",
    ],
)
def test_an_unreadable_line_is_counted_and_changes_nothing(line: str) -> None:
    """And the lines around it are read."""
    read = table("aa", line, interface("e1", "fe80::a"))
    assert read.unreadable == 1
    assert read.faults[0].entry == line[:60]
    assert not read.neighbours
    assert "e1" in read.interfaces


def test_faults_are_bounded() -> None:
    """All are counted, the first are named, and the rest is said in a note."""
    read = table("aa", *["add neighbour"] * 1000)
    assert (read.unreadable, len(read.faults)) == (1000, MAX_FAULTS)
    assert any("980 more lines" in note for note in joined(read).notes)


def test_flush_forgets() -> None:
    """What is flushed is no longer there; what is unknown may be flushed too."""
    read = table("aa", neighbour("fe80::b", "e0"), "flush neighbour fe80::be0 x", "flush route q w")
    assert not read.neighbours
    assert not read.unreadable


TEXT = (
    "add change flush neighbour route interface xroute address if reach ureach rxcost txcost cost "
    "metric refmetric via id prefix up true e0 fe80::b fe80::a ffff 256 65535 -1 x"
)
WORDS = st.sampled_from(TEXT.split())


@given(st.lists(st.lists(WORDS, max_size=18).map(" ".join), max_size=30))
def test_any_lines_give_a_reading(lines: list[str]) -> None:
    """Whatever a daemon sends, every record is accounted for and both ends of links are nodes."""
    reading = joined(table("aa", *lines), B)
    ids = {node.id for node in reading.nodes}
    assert all({link.a, link.b} <= ids and link.a != link.b for link in reading.links)
