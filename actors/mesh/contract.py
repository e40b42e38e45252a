"""What others may know of the mesh's actors: names, options, limits, answers, and their methods.

One coordinator (`mesh-coordinator`) owns the membership; a few shards (`mesh-shard-00`...) host the
nodes. Applications use `actors.mesh.client`, operators `actors.mesh.control`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from actors.runtime.actor_health import ActorContract
from actors.runtime.errors import InvalidInput
from actors.topology.bound import HOLD

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from actors.mesh.batch import MessageBatch
    from actors.mesh.frames import Envelope, EnvelopeAnswer
    from actors.mesh.guard import GuardMaker
    from actors.mesh.membership import Faults, Membership
    from actors.mesh.partition import Acceptance
    from actors.topology.diff import Event
    from actors.topology.link_state import LinkState, Roster
    from actors.topology.live import DescribedMesh
    from actors.topology.provenance import Provenance

COORDINATOR: Final = "mesh-coordinator"
SHARD_PREFIX: Final = "mesh-shard-"
MAX_SHARDS: Final = 64
MAX_PAYLOAD: Final = 64 * 1024  # largest payload of a message, bytes
DRILL_PORTS: Final = (
    0xFF00,
    0xFFFF,
)  # first and last; of drills alone; unread messages do not stay there
MAX_PORT: Final = DRILL_PORTS[0] - 1  # of applications
STATUS_S: Final = 2.0  # longest wait of the coordinator for a shard's status


def shard_name(index: int) -> str:
    """Name of the actor of shard `index`, in [0, 64): `mesh-shard-03`."""
    if not 0 <= index < MAX_SHARDS:
        raise InvalidInput(
            f"shard {index} does not exist",
            f"shards are numbered from 0 to {MAX_SHARDS - 1}",
            f"Use at most {MAX_SHARDS} shards.",
            entry="shard index",
        )
    return f"{SHARD_PREFIX}{index:02d}"


# -- options -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HostOptions:
    """How a host of the protocol behaves; the same for all hosts of a mesh."""

    hello_s: float = 1.0
    feedback: bool = True
    failover: bool = False  # whether to use loop-free alternates
    seed: int = 1
    journal_max_bytes: int = 256 * 2**20
    liars: int = 0  # number of lying nodes to withstand (flag BYZANTINE); 0: none is expected

    @property
    def hold_s(self) -> float:
        """Silence after which a neighbour is lost."""
        return HOLD * self.hello_s

    @property
    def patience_s(self) -> float:
        """Waiting time before a message is sent again, or reported to its sender as undeliverable.

        Long enough to notice a dead neighbour, so that a message that is only held is not resent.
        """
        return max(self.hold_s, 1.0)


@dataclass(frozen=True, slots=True)
class ShardOptions:
    """How a shard works; the same for all shards of a mesh."""

    host: HostOptions
    mailbox_capacity: int  # open messages, and unread messages, that each node may have
    directory: Path  # directory of the mesh's journals
    log_level: str
    guard: GuardMaker | None = None  # None: every node is believed


@dataclass(frozen=True, slots=True)
class MeshOptions:
    """What a mesh is started with."""

    topology: str  # path, URL or radio:N
    vpn: bool
    all_components: bool
    quality: str  # what the qualities of the map are, one of `metrics.QUALITIES`
    refresh_s: float
    shards: int
    failover: bool
    minimal: bool  # the mesh core only: nothing polls the source, and there are no companions
    shard: ShardOptions
    pqc_beacons: bool = False  # its shards' guard asks for signed beacons and seals envelopes
    observed: DescribedMesh | None = None  # the network to be like, instead of the topology


# -- answers -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ShardStatus:
    """The present state of a shard."""

    name: str
    pid: int
    version: int  # version of the placement in use
    partitions: tuple[int, ...]
    hears: tuple[str, ...]  # shards that links which are up lead to
    nodes: int  # hosted nodes that the map has
    left: int  # hosted nodes that the map does not have any more
    unheard: int  # hosted nodes that have links in the map, none of which is up
    neighbours: int  # directed links of hosted nodes
    neighbours_up: int
    silent: int  # hosted nodes that an operator has silenced
    database: int  # advertisements known
    database_version: int
    digest: int
    routes_version: int  # version of the database that the routes are computed from
    open_messages: int  # messages accepted and neither delivered nor returned
    unread_messages: int
    unread_of_left: int  # those of nodes that left
    in_transit: int
    hop_count: int  # messages times hops since the process started
    largest_lag_s: float  # longest delay of the event loop in the last ten minutes
    starved_s: float  # part of that delay spent waiting for a processor
    rss_bytes: int


@dataclass(frozen=True, slots=True)
class MeshStatus:
    """The state of the mesh, as the coordinator sees it."""

    source: str
    format: str
    left_out: Mapping[str, int]  # number of map entries left out, by reason
    warnings: tuple[str, ...]
    nodes: int
    links: int
    placement_version: int
    joined: frozenset[tuple[str, str]]  # pairs of shards that links of the map lead between
    faults: Faults
    shards: tuple[ShardStatus, ...]
    down: Mapping[str, str]  # shards that do not answer, and why
    last_refresh_error: str  # empty if the last poll went well


class MeshEvent(NamedTuple):
    """Something that happened to a hosted node."""

    at: float  # time by the monotonic clock of the machine, s
    kind: str  # "neighbour-up", "neighbour-lost"; "routes" (all nodes of the host)
    node: int  # node index; -1 for all nodes
    neighbour: int  # node index; -1 for none
    version: int  # version of the database


# -- methods -------------------------------------------------------------------------------------


class CoordinatorContract(ActorContract, Protocol):
    """The methods of the coordinator."""

    async def membership(self) -> Membership:
        """The present membership.

        Raises:
            TopologyError: the topology could not be read at the start.
        """
        ...

    async def roster(self) -> Roster:
        """The nodes and links of the present membership, for those who need no placement.

        Raises:
            TopologyError: the topology could not be read at the start.
        """
        ...

    async def options(self) -> MeshOptions:
        """What the mesh was started with."""
        ...

    async def provenance(self) -> Provenance:
        """Where the mesh is known from, and what was left out of it. Asks no shard.

        Raises:
            TopologyError: the topology could not be read at the start.
        """
        ...

    async def status(self) -> MeshStatus:
        """The state of the mesh. A shard without an answer after `STATUS_S` counts as down."""
        ...

    async def join(self, shard: str, incarnation: int) -> Membership:
        """Register a (re)started shard; the membership to use. Nodes moved away return later."""
        ...

    async def refresh(self) -> list[Event]:
        """Read the topology again; the changes.

        Raises:
            TopologyError: the source cannot be read; the mesh keeps the previous topology.
        """
        ...

    async def inject(self, faults: Faults) -> dict[str, float]:
        """Make exactly these faults the injected ones.

        Returns:
            When each shard applied them, s on the monotonic clock of its machine.
        """
        ...

    async def deaths(self, since: float) -> list[tuple[float, str]]:
        """Shards whose death was noticed after `since`, s on the monotonic clock."""
        ...


class ShardContract(ActorContract, Protocol):
    """The methods of a shard.

    Those that name a partition raise `StalePlacement` if another shard hosts it, and
    `ShardUnavailable` while it is being recovered; `version` is the placement version that the
    caller used.
    """

    async def update(self, membership: Membership) -> float:
        """Use another membership; the time it took effect, s on the machine's monotonic clock."""
        ...

    async def inject(self, faults: Faults) -> float:
        """Replace the injected faults; the time that took effect, s on the monotonic clock."""
        ...

    async def exchange(self, envelope: Envelope) -> EnvelopeAnswer | None:
        """Process a peer's envelope; None if it belongs to another membership."""
        ...

    async def converse(self, message: bytes) -> bytes:
        """Process what a peer's channel says, such as a sealed envelope; the answer to it.

        Raises:
            NothingSealed: this mesh sends envelopes as they are.
        """
        ...

    async def send(
        self, partition: int, version: int, client: int, request: int, batch: MessageBatch
    ) -> Acceptance:
        """Accept messages from nodes of one partition; once this returns, they are kept.

        Args:
            partition: the partition that all sources belong to.
            version: placement version that the client used.
            client: random number of the client, which has one open request per partition.
            request: request number, which grows; repeating the last one changes nothing.
            batch: the messages.
        """
        ...

    async def receive(
        self,
        partition: int,
        version: int,
        port: int,
        node: int | None,
        limit: int,
        after: int,
        done: NDArray[np.int64] | None,
        wait_s: float,
    ) -> tuple[NDArray[np.int64], MessageBatch]:
        """The oldest unread messages and their offsets, which `consume` takes.

        If there are none, the answer waits for the first.

        Args:
            partition: the partition to read.
            version: placement version that the client used.
            port: the port that the messages were sent to.
            node: index of the receiving node; None means any node of the partition.
            limit: largest number of messages to look at, the oldest first.
            after: offset of the last message that the reader has; only later ones are returned.
            done: offsets to consume before reading, as `consume` does.
            wait_s: longest wait for a message, s.
        """
        ...

    async def consume(
        self, partition: int, version: int, port: int, offsets: NDArray[np.int64]
    ) -> None:
        """Mark the messages at these offsets as received; they are not offered again."""
        ...

    async def pending(
        self, partition: int, version: int, ids: NDArray[np.uint64]
    ) -> NDArray[np.bool_]:
        """Which messages, accepted by this partition, are neither delivered nor returned yet."""
        ...

    async def send_on(
        self,
        partition: int,
        version: int,
        at: NDArray[np.int32],
        destination: NDArray[np.int32],
        attempts: int,
    ) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        """Send datagrams, all at nodes of `partition`, on through this shard: see `datagram`."""
        ...

    async def paths(
        self, partition: int, version: int, source: int, destination: int, most: int
    ) -> list[tuple[list[int], int]]:
        """The route of a node of one partition and its alternates, see `MeshRouter.paths`."""
        ...

    async def routes(
        self, destinations: NDArray[np.int32]
    ) -> tuple[tuple[int, ...], NDArray[np.int32]]:
        """This shard's partitions, and next hops [destination, node] by its tables.

        -1 where there is none; for a destination nobody asked about before, only until the next
        computation.
        """
        ...

    async def link_state(self, known: tuple[int, int] | None = None) -> LinkState | None:
        """What hosted nodes advertise and measure.

        Args:
            known: revision and digest of what the caller has; while they hold, the answer is None.
        """
        ...

    async def status(self) -> ShardStatus:
        """The state of this shard."""
        ...

    async def protection(self) -> dict[str, Any]:
        """How hosted nodes prove themselves and what they hear of others, as JSON types.

        Empty if nothing is asked to prove itself.
        """
        ...

    async def quarantine(self) -> dict[str, Any]:
        """Who is in quarantine by what this shard knows, and what it has refused, as JSON types.

        Empty if every node is believed.
        """
        ...

    async def clear_quarantine(self, nodes: list[int]) -> list[int]:
        """Give hosted nodes that were proven to lie another key; those that now have one."""
        ...

    async def disjoint_paths(
        self, source: int, destinations: NDArray[np.int32], most: int
    ) -> NDArray[np.int32]:
        """How many node-disjoint paths, at most `most`, lead from a node to each destination."""
        ...

    async def events(self, since: float) -> list[MeshEvent]:
        """What happened to hosted nodes after `since`, s on the machine's monotonic clock."""
        ...

    async def watch(self) -> None:
        """Never answer: a caller that awaits this learns at once when the process dies."""
        ...

    async def die(self) -> None:
        """End this process by SIGKILL, as a crash would (for drills)."""
        ...
