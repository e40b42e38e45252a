"""What a host promises while partitions come to it and leave it."""

from __future__ import annotations

import numpy as np

from actors.mesh import batch as messages
from actors.mesh.host import HostOptions, MeshHost
from actors.mesh.journal import MemoryJournal
from actors.mesh.partition import Partition
from actors.mesh.placement import Placement
from tests.unit.mesh.worlds import grid


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
