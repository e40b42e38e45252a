"""The comparators' chain does what is said of it: every message hop by hop, once, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from actors.topology import radio
from loadtests import far_pairs
from loadtests.chain import PEERS, RECORD, ForwardingChain, Hops
from loadtests.load_plan import Counters

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def peers(tmp_path: Path) -> list[ForwardingChain]:
    topology = radio.generate(40, 1)
    hops = Hops.of(far_pairs.choose(topology, 3, 1), topology)
    counters = Counters(tmp_path)
    return [
        ForwardingChain(number, hops, counters, window=512, batch=256) for number in range(PEERS)
    ]


def test_messages_make_the_hops_of_their_route(peers: list[ForwardingChain]) -> None:
    """A batch crosses the socket as often as the routes of its messages have hops."""
    frame, crossed, at = peers[0].forward(peers[0].fresh()), 0, 0
    while frame:
        crossed += len(frame) // RECORD.itemsize
        at = 1 - at
        frame = peers[at].forward(frame)
    check(peers, crossed)


def test_messages_go_from_node_to_node(peers: list[ForwardingChain]) -> None:
    """The same, each hop from the node where the messages are to its neighbour on their way."""
    at, crossed = peers[0].spread(peers[0].fresh()), 0
    links = {tuple(pair) for pair in radio.generate(40, 1).ends.tolist()}
    while at:
        arrived: dict[int, list[bytes]] = {}
        for node, hops in at.items():
            for neighbour, records in hops.items():
                assert (min(node, neighbour), max(node, neighbour)) in links
                crossed += len(records)
                arrived.setdefault(neighbour, []).extend(records)
        at = {}
        for node, records in arrived.items():
            owner = peers[int(peers[0].hops.process[node])]
            onward = owner.spread(b"".join(records))
            assert set(onward) <= {node}
            at.update(onward)
    check(peers, crossed)


def check(peers: list[ForwardingChain], crossed: int) -> None:
    delivered = [peer.delivered[0] for peer in peers]
    assert sum(some.distinct for some in delivered) == 256
    assert sum(some.count for some in delivered) == 256
    assert [peer.corrupt for peer in peers] == [0, 0]
    assert peers[0].counters.unresolved == 0
    # Each pair's hops are known from the tables.
    routes = far_pairs.choose(radio.generate(40, 1), 3, 1)
    mine = routes.hops[peers[0].hops.process[routes.pairs[:, 0]] == 0]
    assert crossed == int(mine[np.arange(256) % len(mine)].sum())


def test_the_window_closes(peers: list[ForwardingChain]) -> None:
    """No more messages are made than may be under way."""
    peers[0].fresh()
    assert peers[0].has_room
    peers[0].fresh()
    assert not peers[0].has_room
    assert peers[1].has_room


def test_an_altered_message_is_not_counted(peers: list[ForwardingChain]) -> None:
    """A bit flipped on the way is found at the destination."""
    altered = bytearray(peers[0].forward(peers[0].fresh()))
    altered[RECORD.itemsize * 3 + 50] ^= 4
    frame, at = bytes(altered), 0
    while frame:
        at = 1 - at
        frame = peers[at].forward(frame)
    assert sum(peer.corrupt for peer in peers) == 1
    assert sum(peer.delivered[0].distinct for peer in peers) == 255
