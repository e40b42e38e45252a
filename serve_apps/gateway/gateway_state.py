"""What the gateway knows and does, apart from HTTP: the state behind the routes."""

from __future__ import annotations

import asyncio
import base64
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from actors.mesh.batch import empty
from actors.mesh.errors import MailboxFull, NodeSilent, NoEmulatedMesh
from actors.runtime.clock import SystemClock
from actors.runtime.error_handler import ErrorHandler
from actors.runtime.errors import InvalidInput, Unavailable
from actors.runtime.lag import LoopLag
from actors.runtime.metrics import MemoryMetrics
from actors.topology.errors import UnknownNode
from actors.topology.etx import COST_UNIT
from actors.topology.provenance import Network
from serve_apps import probing
from serve_apps.gateway.errors import ClusterDied, MeshNotReady, NoObserver, NoRoute
from serve_apps.gateway.gateway_metrics import GatewayMetrics
from serve_apps.gateway.history_reader import HistoryReader
from serve_apps.gateway.limits import Limits
from serve_apps.gateway.mesh_view import MeshView
from serve_apps.gateway.observed_view import ObservedView
from serve_apps.gateway.payment_desk import Payments
from serve_apps.gateway.receipts import InboxPosition, Receipts
from serve_apps.gateway.report_key import ReportKey
from serve_apps.gateway.send_batcher import SendBatcher
from serve_apps.gateway.settings import GatewayOptions
from serve_apps.web.access import Access
from serve_apps.web.admission import Rate, Slots
from serve_apps.web.errors import TooBusy, TooLarge
from serve_apps.web.idempotency import IdempotentRequests

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from actors.history.archive import Archive
    from actors.mesh.client import Mesh, Received
    from actors.payments.shop import Shop
    from actors.runtime.errors import X0Error
    from actors.runtime.metrics import Metrics
    from actors.topology.model import Topology
    from actors.twin.results import Reply
    from actors.twin.scenario import Scenario
    from serve_apps.gateway.cluster_watch import ClusterWatch
    from serve_apps.gateway.decoding import Messages
    from serve_apps.gateway.mesh_view import Snapshot
    from serve_apps.gateway.send_batcher import SendOutcome
    from serve_apps.probing import Sent

ALTERNATES = 3  # ways of one answer
# Errors of sending that tell for certain that no message was accepted.
_NOTHING_SENT = (
    *(InvalidInput, UnknownNode, TooLarge, TooBusy),
    *(MailboxFull, NodeSilent, MeshNotReady, NoEmulatedMesh),
)


class AskTwin(Protocol):
    """Whoever answers about a network, as `actors.twin.client.ask` does."""

    async def __call__(self, scenario: Scenario, *, plot: bool, limit_s: float) -> Reply:
        """Answer everything that a scenario asks."""
        ...


@dataclass(slots=True)
class Counts:
    """What has happened since the start."""

    accepted: int = 0
    refused: int = 0
    acknowledged: int = 0
    reports: int = 0
    lag: LoopLag = field(default_factory=lambda: LoopLag(SystemClock()))  # of the event loop


class Gateway:
    """State of one gateway process.

    Args:
        token: bearer token.
        limits: bounds; None: the defaults.
        shop: the shop that takes payments; None: there is none.
        metrics: where errors are counted; None: in this process alone.
        options: names and origins; None: those of loopback, and no page of another site.
        archive: the history; None: none is kept.
    """

    def __init__(
        self,
        token: str,
        limits: Limits | None = None,
        shop: Shop | None = None,
        metrics: Metrics | None = None,
        options: GatewayOptions | None = None,
        archive: Archive | None = None,
    ) -> None:
        self.options = options or GatewayOptions()
        self.limits = limits = limits or Limits()
        self.access = Access(
            token.encode(),
            Rate(limits.requests_per_s, limits.burst, time.monotonic),
            self.options.cors_origins,
        )
        self.errors = ErrorHandler("gateway", metrics or MemoryMetrics())
        self.receipts = Receipts(token.encode())
        self.report_key = ReportKey(token.encode())
        self.view = MeshView(time.time_ns() // 1000)
        self.observed = ObservedView(None, SystemClock())
        self.history = HistoryReader(archive)
        self.counts = Counts()
        self.in_flight = Slots(limits.in_flight, "requests")
        self.long_polls = Slots(limits.long_polls, "long polls")
        self.streams = Slots(limits.streams, "event streams")
        self.inbox_streams = Slots(limits.inbox_streams, "inbox streams")
        self.downloads = Slots(limits.downloads, "downloads", each=limits.downloads_each)
        self.payments = Payments(shop, Slots(limits.payments, "requests about payments"))
        self.reading = Slots(limits.reports, "reports of networks")
        self.uploads = Slots(limits.uploads, "bodies in lines")
        self.lookups = Slots(limits.lookups, "questions to the history")
        self.questions = Slots(limits.twin, "questions to the twin")
        self.progress = "looking for the mesh"
        self.ready = False
        self.mesh: Mesh | None = None
        self.cluster: ClusterWatch | None = None
        self.twins: dict[Network, AskTwin] = {}
        self.operations: Callable[[], Awaitable[dict[str, Any]]] | None = None
        self.alerts: Callable[[], Awaitable[dict[str, Any] | None]] | None = None
        self.batcher = SendBatcher(self.joined, limits.queued, limits.answer_s)
        self.idempotent = IdempotentRequests(
            limits.keys, limits.key_bytes, limits.keys_s, time.monotonic, _NOTHING_SENT
        )
        self.metrics = GatewayMetrics(self)

    # -- life ------------------------------------------------------------------------------------

    @property
    def networks(self) -> tuple[Network, ...]:
        """Those of this session."""
        return self.options.networks

    def check_emulated(self) -> None:
        """Tell whether there is an emulated mesh.

        Raises:
            NoEmulatedMesh: this session only observes.
        """
        if Network.EMULATED not in self.networks:
            raise NoEmulatedMesh

    def joined(self) -> Mesh:
        """The emulated mesh.

        Raises:
            NoEmulatedMesh: this session only observes.
            MeshNotReady: it starts.
        """
        self.check_emulated()
        if not self.ready or self.mesh is None:
            raise MeshNotReady(self.progress)
        return self.mesh

    def check_ready(self) -> None:
        """Tell whether all networks of this session can be used now, and are known as they should.

        Raises:
            ClusterDied: what all of them run on is ending.
            MeshNotReady: one starts, a shard does not answer, or all nodes are silent.
            NetworkNotWell: a source of the observed one failed, is held or stale, or no node is up.
        """
        self._check_cluster()
        if Network.OBSERVED in self.networks:
            self.observed.check()
        if Network.EMULATED in self.networks:
            self._check_mesh()

    @property
    def cluster_gone(self) -> str:
        """Why the cluster that all of this runs on is taken for dead; "" while it lives."""
        return self.cluster.gone if self.cluster is not None else ""

    def cause(self, error: X0Error) -> X0Error:
        """What an error comes from: who does not answer in a dead cluster never will again."""
        dead = isinstance(error, Unavailable) and self.cluster_gone
        return ClusterDied(self.cluster_gone) if dead else error

    def _check_cluster(self) -> None:
        if self.cluster_gone:
            raise ClusterDied(self.cluster_gone)

    def how_observed(self) -> tuple[str | None, list[str]]:
        """What is known of the observed network, in a word, and what is wrong; None: none is."""
        if Network.OBSERVED not in self.networks:
            return None, []
        try:
            return "ready", list(self.observed.troubles())
        except MeshNotReady as error:
            return error.progress, []

    def _check_mesh(self) -> None:
        linked = self._topology().n_links > 0
        if self.view.down:
            raise MeshNotReady(", ".join(f"{name}: {why}" for name, why in self.view.down.items()))
        if linked and not self.view.heard.any():
            raise MeshNotReady("no node hears another")

    async def take(self, snapshot: Snapshot) -> None:
        """Work by a new snapshot of the mesh. Large ones are taken in by a thread."""
        large = snapshot.topology.n_links > 5_000
        take = self.view.take
        if large:
            await asyncio.to_thread(take, snapshot)
        else:
            take(snapshot)

    def exact(self, text: str) -> str:
        """Id of the node with this id or whole name, for programs.

        Raises:
            UnknownNode: there is none.
            AmbiguousNode: several are called so.
        """
        self.joined()
        return self.id_at(self.view.naming.exact(text))

    def inbox_of(self, text: str) -> str:
        """Id of the node whose inbox is meant; of one that left, which keeps its inbox, by its id.

        Raises:
            UnknownNode: there is none.
            AmbiguousNode: several are called so.
        """
        try:
            return self.exact(text)
        except UnknownNode:
            if text in self._topology():
                return text
            raise

    def found(self, text: str) -> str:
        """Id of the node that a person means by this, also by the beginning of an id or name.

        Raises:
            UnknownNode: there is none.
            AmbiguousNode: it may be several.
        """
        self.joined()
        return self.id_at(self.view.naming.find(text))

    def id_at(self, index: int) -> str:
        """Id of the node of this index."""
        return self._names()[index]

    def names_of(self, nodes: Iterable[str]) -> dict[str, str]:
        """Names by id, of those of these nodes that have one."""
        naming = self.view.naming
        return {node: name for node in nodes if (name := naming.name_of(node))}

    # -- reading ---------------------------------------------------------------------------------

    def node(self, text: str) -> dict[str, Any]:
        """A node with its neighbours."""
        node, naming = self.found(text), self.view.naming
        row = naming.index[node]
        neighbours = (
            (self.id_at(other), cost / COST_UNIT) for other, cost in self.view.neighbours(row)
        )
        return {
            "id": node,
            "name": naming.name_of(node),
            "state": "up" if self.view.heard[row] else "silent",
            "neighbours": [
                {"id": other, "name": naming.name_of(other), "etx": etx}
                for other, etx in neighbours
            ],
        }

    async def route(self, source: str, destination: str) -> dict[str, Any]:
        """Path, metric and loop-free alternates between two nodes.

        Raises:
            UnknownNode: one of them does not exist.
            NoRoute: the mesh has no path between them.
        """
        mesh, index = self.joined(), self.view.naming.index
        source, destination = self.found(source), self.found(destination)
        start, end = index[source], index[destination]
        try:
            async with asyncio.timeout(self.limits.answer_s):
                ways = await mesh.paths(start, end, 1 + ALTERNATES)
        except TimeoutError:
            raise Unavailable(
                "the mesh does not answer",
                f"it took more than {self.limits.answer_s:g} s to tell a route",
                "Retry after the time in Retry-After.",
                retry_after_s=1.0,
            ) from None
        if not ways:
            raise NoRoute(*map(self.view.naming.label, (source, destination)))
        names = mesh.membership.topology.ids
        route, *alternates = (
            {"path": [names[row] for row in path], "metric": cost / COST_UNIT}
            for path, cost in ways
        )
        return {
            "source": source,
            "destination": destination,
            **route,
            "alternates": alternates,
            "names": self.names_of({node for path, _ in ways for node in map(self.id_at, path)}),
        }

    # -- the twin --------------------------------------------------------------------------------

    async def state(self) -> dict[str, Any]:
        """How this session is, asked anew: as `operations.session_state`.

        Raises:
            ClusterDied: Ray, which is asked too, would be waited for in vain.
            Unavailable: the coordinator or the observer does not answer.
        """
        self._check_cluster()
        if self.operations is None:
            raise Unavailable(
                "the mesh cannot be asked",
                "this gateway has just been started",
                "Retry.",
                retry_after_s=1.0,
            )
        return await self.operations()

    async def ask(
        self, scenario: Scenario, network: Network | None = None, *, plot: bool = False
    ) -> Reply:
        """Ask the twin of a network.

        Args:
            scenario: the questions.
            network: which one; None: the emulated mesh, or without one the observed network.
            plot: whether to draw.

        Raises:
            NoEmulatedMesh: it is asked about, and this session only observes.
            NoObserver: the observed network is asked about, and there is none.
            UnknownNode: a name is of no node.
            InvalidInput: the scenario cannot be asked of this mesh, or takes too long.
            TooBusy: too many questions are under way.
            Unavailable: the network is not known yet, or the twin is not ready or does not answer.
        """
        if network is None:
            both = Network.EMULATED in self.networks
            network = Network.EMULATED if both else Network.OBSERVED
        if network is Network.EMULATED:
            self.joined()
        elif network not in self.networks:
            raise NoObserver
        twin = self.twins[network]
        limit_s = self.limits.twin_s
        with self.questions.one():
            try:
                async with asyncio.timeout(2 * limit_s):
                    return await twin(scenario, plot=plot, limit_s=limit_s)
            except TimeoutError:
                raise Unavailable(
                    "the twin does not answer",
                    f"it took more than {2 * limit_s:g} s",
                    "Retry after the time in Retry-After.",
                    retry_after_s=2.0,
                ) from None

    def _topology(self) -> Topology:
        self.joined()
        assert self.view.topology is not None  # noqa: S101 - ready only with a snapshot
        return self.view.topology

    def _names(self) -> tuple[str, ...]:
        return self._topology().ids

    # -- messages --------------------------------------------------------------------------------

    async def send(self, found: Messages) -> SendOutcome:
        """Send the messages of a request that can be sent.

        Raises:
            Unavailable: the mesh does not answer.
        """
        outcome = await self.batcher.many(found, self._names())
        refused = len(outcome.refusals)
        self.counts.accepted += found.count - refused
        self.counts.refused += refused
        return outcome

    async def probe(
        self, source: str, destination: str, payload: bytes, port: int | None, wait_s: float
    ) -> Sent:
        """Send one message and wait for what becomes of it, as `probing.probe`.

        Raises:
            Unavailable: the mesh starts or does not answer; the message may have been accepted.
        """
        limit_s = wait_s + self.limits.answer_s
        try:
            async with asyncio.timeout(limit_s):
                sent = await probing.probe(
                    self.joined(), source, destination, payload, port, wait_s
                )
        except TimeoutError:
            raise Unavailable(
                "the mesh does not answer",
                f"it took more than {limit_s:g} s to tell what became of the message",
                "It may have been sent: see whether it arrived before you send it again.",
                retry_after_s=1.0,
            ) from None
        self.counts.accepted += 1
        return sent

    async def inbox(self, node: str, port: int, limit: int, wait_s: float) -> list[dict[str, Any]]:
        """The oldest messages of a node that are not acknowledged, waiting for the first."""
        deadline = time.monotonic() + wait_s
        while True:
            left = deadline - time.monotonic()
            read = await self.read(node, port, limit, max(0.0, left))
            if len(read.batch) or left <= 0.0:
                return self.shown(node, read)

    async def read(
        self, node: str, port: int, limit: int, wait_s: float, *, after: int = -1
    ) -> Received:
        """The oldest that a node has not acknowledged, as `Mesh.receive_batch` tells them.

        Waits for the first, or answers with nothing sooner.
        """
        mesh, index = self.joined(), self._topology().index_of(node)
        partition = int(mesh.membership.placement.partition_of[index])
        return await mesh.receive_batch(
            partition, port=port, node=index, limit=limit, after=after, wait_s=wait_s
        )

    def shown(self, node: str, read: Received) -> list[dict[str, Any]]:
        """Messages as an answer tells them, with their receipts."""
        partition, port = read.partition, read.port
        rows = zip(self.joined().messages_of(read), read.offsets.tolist(), strict=True)
        return [
            {
                "id": str(message.id),
                "source": message.source,
                "destination": message.destination,
                "port": message.port,
                "hops": message.hops,
                "undeliverable": message.undeliverable,
                **_shown(message.payload),
                "receipt": self.receipts.write(node, InboxPosition(partition, port, offset)),
            }
            for message, offset in rows
        ]

    async def acknowledge(self, node: str, receipts: list[str]) -> int:
        """Take messages out of the inbox of a node by id; how many receipts that were."""
        from actors.mesh.client import Received  # noqa: PLC0415 - needs Ray

        mesh = self.joined()
        positions = self.receipts.read(node, receipts)
        groups: dict[tuple[int, int], list[int]] = {}
        for position in positions:
            groups.setdefault((position.partition, position.port), []).append(position.offset)
        for (partition, port), offsets in groups.items():
            taken = Received(partition, port, np.array(offsets, np.int64), empty())
            await mesh.acknowledge(taken)
        self.counts.acknowledged += len(positions)
        return len(positions)


def _shown(payload: bytes) -> dict[str, str]:
    try:
        return {"payload": payload.decode()}
    except UnicodeDecodeError:
        return {"payload_base64": base64.b64encode(payload).decode()}
