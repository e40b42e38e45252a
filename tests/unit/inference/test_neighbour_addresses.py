"""Whose packets an interface receives, by the addresses that sources tell of nodes."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from actors.observe.contract import (
    LinkCondition,
    NodeState,
    ObservedLink,
    ObservedNetwork,
    ObservedNode,
)
from serve_apps.inference.incidents import HalfLink
from serve_apps.inference.neighbour_addresses import (
    NeighbourAddresses,
    ip_addresses,
    is_link_local,
)


def observed(
    addresses: dict[str, tuple[str, ...]], links: list[tuple[str, str, str]]
) -> ObservedNetwork:
    """A network of nodes with these addresses, and of these links."""
    nodes = tuple(
        ObservedNode(
            id=node,
            name="",
            state=NodeState.UP,
            since=0.0,
            joined_at=0.0,
            seen_at=None,
            part=1,
            reaches_gateway=None,
            gateway=None,
            vpn=False,
            clients=None,
            nexthop="",
            model="",
            role="",
            firmware="",
            domain="",
            location=None,
            telemetry={},
            addresses=own,
            aliases=(),
            sources=(),
            disputed={},
        )
        for node, own in addresses.items()
    )
    none = (None, None)
    ends = tuple(
        ObservedLink(a, b, kind, LinkCondition.UP, 0.0, none, None, "", none, 1, ())
        for a, b, kind in links
    )
    return ObservedNetwork(0.0, 0, 1, nodes, ends)


def test_neighbours_are_known_by_any_address_and_others_by_none() -> None:
    """IPv4 and IPv6 however they are spelt; a MAC address by the link-local one made of it."""
    network = observed(
        {
            "a": ("FE80:0::a", "10.0.0.1"),
            "b": ("02:00:00:00:00:0b", "10.0.0.2"),
            "c": ("::ffff:10.0.0.3", "nonsense", "ff02::1", "127.0.0.1"),
            "d": ("10.0.0.4",),
        },
        [("a", "b", "wifi"), ("a", "c", "other"), ("b", "d", "wifi")],
    )
    found = NeighbourAddresses(network).around(("fe80::a", "192.0.2.9"))
    assert found is not None
    assert found.node == "a"
    assert found.halves == {
        "fe80::ff:fe00:b": HalfLink("a,b,wifi", 0),
        "10.0.0.2": HalfLink("a,b,wifi", 0),
        "10.0.0.3": HalfLink("a,c,other", 0),
    }
    of_b = NeighbourAddresses(network).around(("02:00:00:00:00:0b",))
    assert of_b is not None
    assert of_b.halves["10.0.0.4"] == HalfLink("b,d,wifi", 0)
    assert of_b.halves["fe80::a"] == HalfLink("a,b,wifi", 1)


def test_what_several_have_is_nobodys_but_counted() -> None:
    """Two neighbours with one address, and a neighbour with two kinds of link."""
    network = observed(
        {"a": ("fe80::a",), "b": ("fe80::1", "fe80::b"), "c": ("fe80::1",), "d": ("fe80::d",)},
        [("a", "b", "wifi"), ("a", "c", "wifi"), ("a", "d", "wifi"), ("a", "d", "vpn")],
    )
    found = NeighbourAddresses(network).around(("fe80::a",))
    assert found is not None
    assert found.halves == {"fe80::b": HalfLink("a,b,wifi", 0)}
    assert found.ambiguous == {"fe80::1", "fe80::d"}


def test_an_address_that_a_stranger_has_too_is_still_the_neighbours() -> None:
    """Link-local addresses need not be unique in a network, only on a link."""
    network = observed(
        {"a": ("fe80::a",), "b": ("fe80::1",), "z": ("fe80::1",)}, [("a", "b", "wifi")]
    )
    found = NeighbourAddresses(network).around(("fe80::a",))
    assert found is not None
    assert found.halves == {"fe80::1": HalfLink("a,b,wifi", 0)}


def test_an_interface_of_no_node_or_of_several_hears_nobody() -> None:
    network = observed({"a": ("fe80::a",), "b": ("fe80::b",)}, [("a", "b", "wifi")])
    known = NeighbourAddresses(network)
    assert known.around(("192.0.2.1",)) is None
    assert known.around(()) is None
    assert known.around(("fe80::a", "fe80::b")) is None


@given(st.lists(st.one_of(st.text(), st.ip_addresses().map(str))))
def test_whatever_is_told_is_an_address_or_left_out(told: list[str]) -> None:
    """In one spelling, which is its own."""
    for address in ip_addresses(told):
        assert ip_addresses([address]) == {address}
        assert is_link_local(address) == ipaddress.ip_address(address).is_link_local


@given(st.binary(min_size=6, max_size=6))
def test_a_mac_address_stands_for_one_link_local_address(mac: bytes) -> None:
    (address,) = ip_addresses([mac.hex(":")])
    assert is_link_local(address)
    packed = ipaddress.ip_address(address).packed
    assert packed[8:11] + packed[13:] == bytes([mac[0] ^ 2]) + mac[1:]
