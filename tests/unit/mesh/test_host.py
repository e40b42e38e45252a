"""What a host promises while partitions come to it and leave it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np

from actors.mesh import batch as messages
from actors.mesh.contract import HostOptions
from actors.mesh.forwarder import HELD_S
from actors.mesh.frames import Settlement
from actors.mesh.host import MeshHost
from actors.mesh.journal import FileJournal, MemoryJournal
from actors.mesh.partition import Partition
from actors.mesh.placement import Placement
from actors.mesh.shard_metrics import ShardMetrics
from actors.runtime.clock import VirtualClock
from actors.runtime.lag import LoopLag
from actors.runtime.metrics import MemoryMetrics
from tests.unit.mesh.worlds import grid

if TYPE_CHECKING:
    from pathlib import Path


def test_a_partition_may_leave_while_messages_wait_for_room_in_it() -> None:
    """Messages that wait for a full mailbox leave with their partition; the host goes on."""
    topology = grid(2, 1)
    placement = Placement(1, np.array([0, 1], np.int16), ("a", "a"))
    host = MeshHost("a", topology, placement, HostOptions(), 0.0)
    for number in range(2):
        partition = Partition(number, topology.n_nodes, MemoryJournal(), capacity=1)
        partition.recover()
        host.adopt(partition, 0.0)
    # A node's messages to itself need no route: the second finds its mailbox full.
    for request in range(2):
        host.send(1, 7, request, messages.build([1], [1], [b"to myself"]))
        host.step(0.1)
        host.step(0.1 + host.options.patience_s)
    assert len(host.partitions[1].inbox) == 1
    assert len(host.partitions[1].outbox) == 1
    host.replace(topology, placement.moved([1], "b"), 2.0)
    host.release(1, 2.0)
    for now in np.arange(2.0, 8.0, 0.25).tolist():
        host.step(now)
    assert list(host.partitions) == [0]


def test_copies_that_are_dropped_are_counted() -> None:
    """Also those of before a change of the topology; a counter of them is exported."""
    topology = grid(2, 1)
    placement = Placement(1, np.array([0, 1], np.int16), ("a", "b"))
    host = MeshHost("a", topology, placement, HostOptions(), 0.0)
    partition = Partition(0, topology.n_nodes, MemoryJournal(), capacity=9)
    partition.recover()
    host.adopt(partition, 0.0)
    host.send(0, 7, 1, messages.build([0], [1], [b"where to?"]))
    metrics = MemoryMetrics()
    shown = ShardMetrics("a", metrics, LoopLag(VirtualClock()))
    for now in np.arange(0.0, HELD_S + 10.0, 0.5).tolist():
        host.step(now)
        shown.publish(host, np.ones(2, bool))
    dropped = host.dropped
    assert dropped >= 1
    host.replace(topology, placement.moved([1], "c"), HELD_S + 10.0)
    assert host.dropped == dropped
    shown.publish(host, np.ones(2, bool))
    assert metrics.value("x0tta6bl4_mesh_dropped_total", shard="a") == dropped
    assert metrics.value("x0tta6bl4_mesh_neighbours", shard="a") == 1  # up or not


def test_an_offset_that_was_told_stays_with_its_message(tmp_path: Path) -> None:
    """What a reader was given is there after a crash, also if it came between two turns."""
    topology = grid(2, 1)
    placement = Placement(1, np.array([0, 0], np.int16), ("a",))
    host = MeshHost("a", topology, placement, HostOptions(), 0.0)
    host.adopt(_recovered(tmp_path / "life"), 0.0)
    sent = host.send(0, 7, 1, messages.build([0], [1], [b"in vain"]))
    host.partitions[0].settle(Settlement(sent.ids, np.array([False])))
    offsets, notice = host.read(0, 0, 0, 10)
    assert notice.head["id"].tolist() == sent.ids.tolist()
    shutil.copytree(tmp_path / "life", tmp_path / "next")  # all that a crash here would leave
    again, kept = _recovered(tmp_path / "next").inbox.read(0, 0, 10)
    assert (again.tolist(), kept.head["id"].tolist()) == (offsets.tolist(), sent.ids.tolist())


def _recovered(directory: Path) -> Partition:
    partition = Partition(0, 2, FileJournal(directory), capacity=4)
    partition.recover()
    return partition
