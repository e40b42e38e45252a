"""The comparators' chain does what is said of it: every message hop by hop, once, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from actors.topology import radio
from loadtests import far_pairs
from loadtests.chain import PEERS, RECORD, Chain, Hops
from loadtests.load_plan import Counters

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def peers(tmp_path: Path) -> list[Chain]:
    topology = radio.generate(40, 1)
    hops = Hops.of(far_pairs.choose(topology, 3, 1))
    counters = Counters(tmp_path)
    return [Chain(number, hops, counters, window=512, batch=256) for number in range(PEERS)]


def test_messages_make_the_hops_of_their_route(peers: list[Chain]) -> None:
    """A batch crosses the socket as often as the routes of its messages have hops."""
    frame, crossed, at = peers[0].fresh(), 0, 0
    while frame:
        crossed += len(frame) // RECORD.itemsize
        at = 1 - at
        frame = peers[at].forward(frame)
    delivered = [peer.delivered[0] for peer in peers]
    assert sum(marks.distinct for marks in delivered) == 256
    assert sum(marks.count for marks in delivered) == 256
    assert [peer.corrupt for peer in peers] == [0, 0]
    assert peers[0].counters.unresolved == 0
    # The same batch again has the next pairs; each pair's hops are known from the tables.
    topology = radio.generate(40, 1)
    routes = far_pairs.choose(topology, 3, 1)
    assert crossed == int(routes.hops[np.arange(256) % len(routes.hops)].sum())


def test_the_window_closes(peers: list[Chain]) -> None:
    """No more messages are made than may be under way."""
    peers[0].fresh()
    assert peers[0].has_room
    peers[0].fresh()
    assert not peers[0].has_room
    assert peers[1].has_room


def test_an_altered_message_is_not_counted(peers: list[Chain]) -> None:
    """A bit flipped on the way is found at the destination."""
    altered = bytearray(peers[0].fresh())
    altered[RECORD.itemsize * 3 + 50] ^= 4
    frame, at = bytes(altered), 0
    while frame:
        at = 1 - at
        frame = peers[at].forward(frame)
    assert sum(peer.corrupt for peer in peers) == 1
    assert sum(peer.delivered[0].distinct for peer in peers) == 255
