"""How applications use the mesh: from a job, a notebook or Serve alike.

`Mesh.attach()` needs a process that has joined the cluster. `mesh.node(id)` is a `NodeRef`, an
address that pickles as the id alone. Requests find the shard of a node through the placement. A
request that met an outdated placement or a restarting shard is repeated with the same request
number until it has an answer, so that it takes effect once.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from actors.mesh import batch as messages
from actors.mesh import control
from actors.mesh.batch import UNREACHABLE, MessageBatch
from actors.mesh.contract import MAX_PAYLOAD, MAX_PORT
from actors.mesh.datagram import DatagramFate
from actors.mesh.errors import MailboxFull, NodeSilent, ShardUnavailable, StalePlacement
from actors.mesh.membership import (
    Membership,  # noqa: TC001 - an answer: imported here, not where an event loop unpickles it
)
from actors.mesh.partition import Acceptance, Refusal
from actors.runtime import ids, spawn
from actors.runtime.errors import ActorUnavailable, InvalidInput, Unavailable
from actors.topology.errors import UnknownNode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from numpy.typing import NDArray

    from actors.mesh.contract import ShardContract

Answer = TypeVar("Answer")

PATIENCE_S = 60.0  # how long a request is repeated while its shard is away
ATTACH_S = 10.0  # longest wait for a coordinator that is restarting
RETRY_S = 0.1
DATAGRAMS = 20_000  # datagrams in one call, so that no shard misses its turns for long


class Message(NamedTuple):
    """A message as an application sees it."""

    id: int
    source: str
    destination: str
    payload: bytes
    port: int
    sent_at: float  # Unix time, s, by the clock of the sender's machine
    hops: int
    undeliverable: bool  # True: our own message `id` could not be delivered to `source`


@dataclass(frozen=True, slots=True)
class Received:
    """Messages read and not yet acknowledged.

    Attributes:
        partition: the partition that the messages were read from.
        port: the port that the messages were sent to.
        offsets: int64 [n], for `Mesh.acknowledge`.
        batch: the messages in columns.
    """

    partition: int
    port: int
    offsets: NDArray[np.int64]
    batch: MessageBatch


class Mesh:
    """A client of the running mesh.

    One request at a time is under way per partition; others wait their turn.
    """

    def __init__(self, membership: Membership, *, mailbox_capacity: int) -> None:
        self.membership = membership
        self._mailbox_capacity = mailbox_capacity
        self._client = ids.random_id()
        self._request = 0
        self._turns: dict[int, asyncio.Lock] = {}
        self._shards: dict[str, ShardContract] = {}

    @classmethod
    async def attach(cls) -> Mesh:
        """Join the mesh of this process's cluster and namespace.

        Raises:
            NotRunning: no mesh is running.
            ActorUnavailable: the coordinator does not come back.
            TopologyError: the mesh could not start with its topology.
        """
        deadline = time.monotonic() + ATTACH_S
        while True:
            try:
                membership = await control.coordinator().membership()
                options = await control.coordinator().options()
                return cls(membership, mailbox_capacity=options.shard.mailbox_capacity)
            except ActorUnavailable:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(RETRY_S)

    async def refresh(self) -> None:
        """Fetch the membership again: nodes may have joined or moved."""
        await self._refresh()

    def node(self, node: str) -> NodeRef:
        """The address of a node.

        Raises:
            UnknownNode: the mesh has no such node.
        """
        self.index_of(node)
        return NodeRef(node)

    def nodes(self) -> list[str]:
        """The ids of all nodes, in the order of the topology."""
        present = self.membership.present.tolist()
        return [
            name for name, here in zip(self.membership.topology.ids, present, strict=True) if here
        ]

    def index_of(self, node: str) -> int:
        """The index of a node.

        Raises:
            UnknownNode: the mesh has no such node.
        """
        topology = self.membership.topology
        index = topology.index_of(node)
        if not self.membership.present[index]:
            raise UnknownNode(node, known=self.nodes())
        return index

    # -- sending ---------------------------------------------------------------------------------

    async def send_batch(self, batch: MessageBatch) -> Acceptance:
        """Send many messages, with node indices; each is accepted or refused alone.

        Returns:
            Ids and refusals in the order of `batch`. What is accepted is kept.

        Raises:
            InvalidInput: an index is out of range or a payload too long; nothing was sent.
        """
        n = self.membership.topology.n_nodes
        for column in ("source", "destination"):
            values = batch.head[column]
            if len(values) and (values.min() < 0 or values.max() >= n):
                raise InvalidInput(
                    "cannot send",
                    f"column {column} has an index outside 0..{n - 1}",
                    "Use indices of the topology.",
                    entry=column,
                )
        if len(batch) and batch.head["length"].max() > MAX_PAYLOAD:
            raise InvalidInput(
                "cannot send",
                f"a payload is longer than {MAX_PAYLOAD} bytes",
                "Split it.",
                entry="payload",
            )
        result = Acceptance(np.zeros(len(batch), np.uint64), np.zeros(len(batch), np.uint8))
        where = self.membership.placement.partition_of[batch.head["source"]]

        async def one(partition: int) -> None:
            rows = where == partition
            part = batch.take(rows).compact()
            async with self._turns.setdefault(partition, asyncio.Lock()):
                self._request += 1
                request = self._request
                answer = await self._ask(
                    partition,
                    lambda shard, version: shard.send(
                        partition, version, self._client, request, part
                    ),
                )
            result.ids[rows], result.refusal[rows] = answer

        await asyncio.gather(*(one(partition) for partition in np.unique(where).tolist()))
        return result

    async def send(self, source: str, to: str, payload: bytes, *, port: int = 0) -> int:
        """Send one message; its id. Once this returns, the message is kept.

        Raises:
            UnknownNode: source or destination does not exist.
            InvalidInput: the payload is not bytes, or it or the port is out of bounds.
            MailboxFull: the source has too many messages open; try again later.
            NodeSilent: the source has failed.
        """
        if not 0 <= port <= MAX_PORT:
            raise InvalidInput(
                "cannot send", f"port {port} is outside 0..{MAX_PORT}", "Use another.", entry="port"
            )
        if not isinstance(payload, bytes | bytearray | memoryview):
            raise InvalidInput(
                "cannot send",
                f"the payload is of type {type(payload).__name__}, not bytes",
                "Encode text first: `text.encode()`.",
                entry="payload",
            )
        known = self.membership.topology
        if source not in known or to not in known:
            await self._refresh()  # the node may have joined since
        batch = messages.build(
            [self.index_of(source)],
            [self.index_of(to)],
            [payload],
            port=port,
            sent_at=time.time(),
        )
        accepted = await self.send_batch(batch)
        called = self.membership.topology.naming.label(source)
        match Refusal(int(accepted.refusal[0])):
            case Refusal.MAILBOX_FULL:
                raise MailboxFull(called, capacity=self._mailbox_capacity, retry_after_s=1.0)
            case Refusal.NODE_SILENT:
                raise NodeSilent(called)
        return int(accepted.ids[0])

    async def pending(self, message_ids: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which accepted messages are neither delivered nor returned yet."""
        out = np.zeros(len(message_ids), bool)
        where = messages.origin(message_ids)
        for partition in np.unique(where).tolist():
            rows = where == partition
            out[rows] = await self._pending_in(partition, message_ids[rows])
        return out

    async def _pending_in(
        self, partition: int, message_ids: NDArray[np.uint64]
    ) -> NDArray[np.bool_]:
        return await self._ask(
            partition, lambda shard, version: shard.pending(partition, version, message_ids)
        )

    # -- receiving -------------------------------------------------------------------------------

    async def receive_batch(
        self,
        partition: int,
        *,
        port: int = 0,
        node: int | None = None,
        limit: int = 100_000,
        after: int = -1,
        done: Received | None = None,
        wait_s: float = 0.0,
    ) -> Received:
        """The oldest unread messages of a partition (or of one node of it).

        If there are none, waits for the first, up to `wait_s` (the shard may answer sooner).

        Args:
            partition: the partition to read.
            port: the port that the messages were sent to.
            node: index of the receiving node; None means any node of the partition.
            limit: largest number of messages to look at, the oldest first.
            after: the greatest offset received so far; only newer messages are returned. A reader
                that acknowledges late thus gets each message once.
            done: messages read before from the same partition and port; this call also
                acknowledges them, which saves a call.
            wait_s: longest wait for a message, s.
        """
        offsets = None if done is None else done.offsets
        read = await self._ask(
            partition,
            lambda shard, version: shard.receive(
                partition, version, port, node, limit, after, offsets, wait_s
            ),
        )
        return Received(partition, port, *read)

    async def acknowledge(self, received: Received) -> None:
        """Mark these messages as received: they are not offered again."""
        partition = received.partition
        await self._ask(
            partition,
            lambda shard, version: shard.consume(
                partition, version, received.port, received.offsets
            ),
        )

    def messages_of(self, received: Received) -> list[Message]:
        """The messages one by one, with node ids."""
        names = self.membership.topology.ids
        head = received.batch.head
        return [
            Message(
                id=int(row["id"]),
                source=names[row["source"]],
                destination=names[row["destination"]],
                payload=received.batch.payload_of(number),
                port=int(row["port"]),
                sent_at=float(row["sent_at"]),
                hops=int(row["hops"]),
                undeliverable=bool(row["flags"] & UNREACHABLE),
            )
            for number, row in enumerate(head)
        ]

    # -- measuring -------------------------------------------------------------------------------

    async def send_datagrams(
        self, source: NDArray[np.int32], destination: NDArray[np.int32], attempts: int
    ) -> NDArray[np.bool_]:
        """Send one datagram for each pair of node indices [n]; bool [n], True where it arrived.

        Args:
            source: the senders.
            destination: the receivers.
            attempts: transmissions over each hop at most; nothing is repeated end to end.
        """
        at, fate = source.copy(), np.full(len(source), DatagramFate.ELSEWHERE, np.uint8)
        for _ in range(self.membership.topology.n_nodes):  # more hand-overs would be a loop
            under_way = np.flatnonzero(fate == DatagramFate.ELSEWHERE)
            if not len(under_way):
                break
            if at[under_way].max() >= self.membership.topology.n_nodes:
                await self._refresh()  # the route uses a node that joined since
            where = self.membership.placement.partition_of[at[under_way]]
            for partition in np.unique(where).tolist():
                rows = under_way[where == partition]
                for some in np.array_split(rows, -(-len(rows) // DATAGRAMS)):
                    at[some], fate[some] = await self._send_on(
                        partition, at[some], destination[some], attempts
                    )
        arrived: NDArray[np.bool_] = fate == DatagramFate.ARRIVED
        return arrived

    async def _send_on(
        self,
        partition: int,
        at: NDArray[np.int32],
        destination: NDArray[np.int32],
        attempts: int,
    ) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        return await self._ask(
            partition,
            lambda shard, version: shard.send_on(partition, version, at, destination, attempts),
        )

    # -- routes ----------------------------------------------------------------------------------

    async def paths(
        self, source: int, destination: int, most: int = 1
    ) -> list[tuple[list[int], int]]:
        """The route between two nodes and its alternates, the best first, by node indices.

        Args:
            source: index of the first node; its shard is asked.
            destination: index of the last node.
            most: largest number of paths.

        Returns:
            The nodes and the cost (ETX times COST_UNIT) of each path; empty without a route.
        """
        partition = int(self.membership.placement.partition_of[source])
        answer = await self._ask(
            partition,
            lambda shard, version: shard.paths(partition, version, source, destination, most),
        )
        if max((max(path) for path, _ in answer), default=0) >= self.membership.topology.n_nodes:
            await self._refresh()  # the route may use a node that joined since
        return answer

    # -- asking shards ---------------------------------------------------------------------------

    async def _ask(
        self, partition: int, ask: Callable[[ShardContract, int], Awaitable[Answer]]
    ) -> Answer:
        """Ask the shard that hosts a partition, following the partition if it moves.

        Args:
            partition: the partition; the shard that hosts it is asked.
            ask: calls the shard, given the placement version.

        Raises:
            ShardUnavailable: the shard did not come back within `PATIENCE_S`.
        """
        deadline = time.monotonic() + PATIENCE_S
        while True:
            placement = self.membership.placement
            name = placement.shard_of[partition]
            if name not in self._shards:
                self._shards[name] = control.shard(name)
            try:
                return await ask(self._shards[name], placement.version)
            except (StalePlacement, Unavailable) as error:
                if time.monotonic() > deadline:
                    if isinstance(error, ActorUnavailable):
                        raise ShardUnavailable(name, error.why) from error
                    raise
            await asyncio.sleep(RETRY_S)
            await self._refresh()

    async def _refresh(self) -> None:
        try:
            self.membership = await control.coordinator().membership()
        except Unavailable:
            return  # the coordinator is restarting; the old placement may still hold


# For addresses that were unpickled: by event loop, with the connection that the handles belong to.
_attached: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[object, Mesh]] = WeakKeyDictionary()


async def _here() -> Mesh:
    loop, joined = asyncio.get_running_loop(), spawn.connection()
    known, mesh = _attached.get(loop, (None, None))
    if mesh is None or known != joined:
        mesh = await Mesh.attach()
        _attached[loop] = joined, mesh
    return mesh


@dataclass(frozen=True, slots=True)
class NodeRef:
    """The address of a mesh node; nothing but its id, so it travels anywhere."""

    id: str

    async def send(self, to: str | NodeRef, payload: bytes, *, port: int = 0) -> int:
        """Send a message from this node; see `Mesh.send`."""
        mesh = await _here()
        return await mesh.send(
            self.id, to.id if isinstance(to, NodeRef) else to, payload, port=port
        )

    async def receive(
        self, *, port: int = 0, limit: int = 1000, wait_s: float = 0.0
    ) -> list[Message]:
        """Take messages that have arrived at this node, waiting up to `wait_s` for the first.

        They are acknowledged before this returns. A node's port is for one receiver: two that ask
        at once may both get the same messages. An application that must not lose messages in a
        crash uses `Mesh.receive_batch` and acknowledges them after processing.
        """
        mesh = await _here()
        index = mesh.membership.topology.index_of(self.id)  # one that left keeps its inbox
        deadline = time.monotonic() + wait_s
        while True:
            partition = int(mesh.membership.placement.partition_of[index])
            left = deadline - time.monotonic()
            received = await mesh.receive_batch(
                partition, port=port, node=index, limit=limit, wait_s=max(0.0, left)
            )
            if len(received.batch):
                await mesh.acknowledge(received)
                return mesh.messages_of(received)
            if left <= 0:
                return []
