"""What hosts receive of neighbours as evidence for incidents, and beside scores."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
import pytest

from actors.runtime.errors import ActorFailed, Unavailable
from actors.xdp.contract import PeerCount, ReceivedTraffic
from actors.xdp.errors import NotAttached, XdpUnavailable
from actors.xdp.layout import BUCKETS
from serve_apps.inference import hosts_traffic, incident_events
from serve_apps.inference.condition import node_graph
from serve_apps.inference.hosts_traffic import HostsTraffic
from serve_apps.inference.incidents import HalfLink
from serve_apps.inference.live_root_cause import Cause
from serve_apps.inference.live_telemetry import MISSING
from tests.unit.inference.looks import Looks, grid
from tests.unit.inference.test_neighbour_addresses import observed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from serve_apps.inference.received_figures import ReceivedFigure

A, B = "n11", "n12"
HALF = HalfLink(f"{A},{B},wifi", 0)  # what A hears of B
SETTLED = 14  # intervals


def counting(rate: float = 1.0) -> Looks:
    """A settled network, of which the host of A counts what it receives of B."""
    looks = Looks(grid(), received={HALF: rate})
    looks.interval(SETTLED)
    assert not looks.watch.incidents.open
    return looks


def test_a_direction_in_which_too_little_arrives_is_an_incident_of_that_link() -> None:
    """Though its source calls it perfect; it is told how much is missing, and is over again."""
    looks = counting()
    looks.received[HALF] = 0.4
    looks.interval(2)
    (incident,) = looks.watch.incidents.open
    assert incident.root is not None
    assert (incident.root.cause, incident.root.link) == (Cause.LINK, (A, B))
    assert incident.root.one_way
    told = incident_events.as_dict(incident)
    assert MISSING in told["features"]
    (link,) = told["links"]
    assert (link["heard_by"], link["from"], link["missing"]) == (A, B, 0.6)
    assert (link["usual"], link["now"]) == (1.0, 1.0)
    looks.received[HALF] = 1.0
    looks.interval(6)
    assert not looks.watch.incidents.open


def test_an_incident_goes_on_with_what_was_missing() -> None:
    looks = counting()
    looks.received[HALF] = 0.4
    events = [event for _ in range(3) for event in looks.interval().events]
    (again,) = incident_events.still_open(events)
    assert again.halves[HALF].missing == 0.6


def test_of_a_link_that_is_usually_down_nothing_is_made() -> None:
    looks = Looks(grid(), down={(A, B)}, received={HALF: 1.0})
    looks.interval(SETTLED)
    looks.received[HALF] = 0.0
    looks.interval(3)
    assert not looks.watch.incidents.open


def test_a_node_that_sends_as_usual_is_not_silent_whoever_says_so() -> None:
    """Its links may all be down for its source: it lives, and is one of the candidates."""
    looks, blind = counting(), Looks(grid())
    blind.interval(SETTLED)
    for each in (looks, blind):
        each.kill(B)
        each.interval(2)
    ((counted,), (other,)) = looks.watch.incidents.open, blind.watch.incidents.open
    assert set(other.dark) == {B}
    assert not counted.dark
    looks.received[HALF] = 0.0
    looks.interval()
    (counted,) = looks.watch.incidents.open
    assert set(counted.dark) == {B}


def test_where_nothing_arrives_any_more_it_is_not_known_to_live() -> None:
    looks = counting()
    looks.kill(B)
    looks.received.clear()  # its host does not tell
    looks.interval(2)
    assert set(looks.watch.incidents.open[0].dark) == {B}


def test_without_hosts_that_count_nothing_is_other_than_before() -> None:
    looks = Looks(grid())
    looks.interval(SETTLED)
    looks.quality[f"{A}>{B}"] = 0.3
    looks.interval(2)
    (incident,) = looks.watch.incidents.open
    told = incident_events.as_dict(incident)
    assert not [name for name in told["features"] if name.startswith("xdp")]
    assert not [link for link in told["links"] if "missing" in link]
    telemetry = looks.watch.telemetry()
    assert telemetry is not None
    assert node_graph(telemetry).received == ()


def test_scores_do_not_depend_on_what_hosts_count() -> None:
    """The features that models judge by are the same, to the last bit."""
    looks, blind = counting(), Looks(grid())
    blind.interval(SETTLED)
    graphs = []
    for each in (looks, blind):
        telemetry = each.watch.telemetry()
        assert telemetry is not None
        graphs.append(node_graph(telemetry))
    for name in ("deviations", "values", "normal"):
        np.testing.assert_array_equal(getattr(graphs[0], name), getattr(graphs[1], name))


def test_figures_are_told_with_their_units_and_normals() -> None:
    """What is not known (here the median of gaps) is not told; a normal not before it is known."""
    looks = Looks(grid(), received={HALF: 1.0})
    looks.interval()
    first = _figures(looks)
    assert [one.normal for one in first.values()] == len(first) * [None]
    assert str(first["xdp_throughput"]) == (
        "xdp_throughput 100 bytes/s, its normal is not known yet"
    )
    looks.interval(2 * SETTLED)
    looks.received[HALF] = 0.5
    looks.interval()
    found = _figures(looks)
    assert list(found) == ["xdp_throughput", "xdp_packet_rate", "xdp_gap_p95", MISSING]
    assert {(one.heard_by, one.sender) for one in found.values()} == {(A, B)}
    assert str(found["xdp_throughput"]) == "xdp_throughput 50 bytes/s, 50 below its normal"
    assert str(found["xdp_gap_p95"]) == "xdp_gap_p95 0.5 s, as normal"
    assert str(found[MISSING]) == "xdp_missing 0.5, 0.5 above its normal"
    assert found["xdp_packet_rate"].deviation is not None
    assert found["xdp_packet_rate"].deviation < -2
    assert found["xdp_packet_rate"].normal == pytest.approx(1.0)
    looks.received.clear()
    looks.interval()
    assert not _figures(looks)  # unknown now, whatever it was


def _figures(looks: Looks) -> dict[str, ReceivedFigure]:
    telemetry = looks.watch.telemetry()
    assert telemetry is not None
    return {one.name: one for one in node_graph(telemetry).received}


# -- hosts -----------------------------------------------------------------------------------------

NETWORK = observed({"a": ("fe80::a",), "b": ("fe80::b",)}, [("a", "b", "wifi")])


class Owners:
    """Hosts, by what they answer: counts of packets of fe80::b at each question, or an error."""

    def __init__(self, answers: dict[str, list[int | Exception]]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, ...]] = []

    async def addresses(self, host: str) -> dict[str, tuple[str, ...]]:
        if isinstance(now := self.answers[host][0], Exception):
            self.answers[host].pop(0)
            raise now
        return {"eth0": ("fe80::a",), "eth1": ("192.0.2.1",)}

    async def received(
        self, host: str, interface: str, addresses: tuple[str, ...]
    ) -> ReceivedTraffic:
        self.asked.append(addresses)
        packets = self.answers[host].pop(0)
        assert isinstance(packets, int)
        peer = PeerCount("fe80::b", packets, 100 * packets, (0,) * BUCKETS)
        return ReceivedTraffic(interface, 1, float(len(self.asked)), 0, 9, (peer,))


async def test_hosts_are_asked_for_neighbours_alone_and_others_are_counted() -> None:
    owners = Owners({"box": [10, 15]})
    traffic = HostsTraffic(owners, lambda: ["box"], lambda: NETWORK)
    assert (await traffic.read()).traffic == {}
    found = await traffic.read()
    assert found.traffic[HalfLink("a,b,wifi", 0)].packet_rate == 5.0
    assert (found.neighbours, found.others, found.ambiguous, found.strange) == (1, 9, 0, 1)
    assert owners.asked == 2 * [("fe80::b",)]


async def test_a_host_that_tells_nothing_costs_its_own_words_alone() -> None:
    """Switched off is no fault, nor is one that is starting; one that has answered before is."""
    gone = Unavailable("no answer", "it is gone", "Wait.", retry_after_s=1.0)
    off = XdpUnavailable("off", "None.")
    owners = Owners(
        {
            "box": [10, 15],
            "off": [off, off],
            "starting": [gone, gone],
            "lost": [3, gone],
        }
    )
    traffic = HostsTraffic(owners, lambda: owners.answers, lambda: NETWORK)
    assert (await traffic.read()).silent == {}
    found = await traffic.read()
    assert found.silent == {"lost": gone}
    assert set(found.traffic) == {HalfLink("a,b,wifi", 0)}


async def test_an_interface_that_tells_nothing_costs_its_own_words_alone() -> None:
    """One is detached while it is asked, and of another its tables cannot be read."""
    failed = ActorFailed("xdp-box", OSError("a map cannot be read"))

    class Torn(Owners):
        async def addresses(self, host: str) -> dict[str, tuple[str, ...]]:
            found = await super().addresses(host)
            return {"gone": ("fe80::a",), "torn": ("fe80::a",), **found}

        async def received(
            self, host: str, interface: str, addresses: tuple[str, ...]
        ) -> ReceivedTraffic:
            if interface == "gone":
                raise NotAttached(interface)
            if interface == "torn":
                raise failed
            return await super().received(host, interface, addresses)

    traffic = HostsTraffic(Torn({"box": [10, 15]}), lambda: ["box"], lambda: NETWORK)
    await traffic.read()
    found = await traffic.read()
    assert found.silent == {"box": failed}
    assert set(found.traffic) == {HalfLink("a,b,wifi", 0)}


async def test_where_nobody_counts_the_network_is_not_looked_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A session has these actors on each host, of which most attach nothing."""

    def looked_through(_: object) -> None:
        raise AssertionError

    class Idle(Owners):
        async def addresses(self, host: str) -> dict[str, tuple[str, ...]]:
            return {} if host in self.answers else await super().addresses(host)

    monkeypatch.setattr(hosts_traffic, "NeighbourAddresses", looked_through)
    traffic = HostsTraffic(Idle({"box": []}), lambda: ["box"], lambda: NETWORK)
    found = await traffic.read()
    assert (found.traffic, found.silent, found.strange) == ({}, {}, 0)


async def test_a_host_that_hangs_does_not_hold_up_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hosts_traffic, "TIMEOUT_S", 0.05)
    owners = Owners({"box": [1, 2], "slow": [1, 2]})
    hosts = ["box", "slow"]
    traffic = HostsTraffic(owners, lambda: hosts, lambda: NETWORK)
    await traffic.read()
    never = asyncio.Event()
    answers = owners.addresses

    async def addresses(host: str) -> dict[str, tuple[str, ...]]:
        if host == "slow":
            await never.wait()
        return await answers(host)

    monkeypatch.setattr(owners, "addresses", addresses)
    found = await traffic.read()
    assert "does not answer" in str(found.silent["slow"])
    assert found.traffic


async def test_before_the_network_is_known_nobody_is_asked() -> None:
    def hosts() -> Iterable[str]:
        raise AssertionError

    assert (await HostsTraffic(Owners({}), hosts, lambda: None).read()).traffic == {}
