"""The Ray actor that observes a real network: a thin shell around `observation`.

One loop for each source polls it; one more lets time pass. Each answer is taken in by a thread, one
after the other, and what it changed is on disk before anybody is told. Ray restarts the actor when
its process ends; it then goes on from there.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

from actors.observe import answers, saving
from actors.observe.contract import (
    MAX_LINKS,
    MAX_NODES,
    OBSERVER,
    ObserverContract,
    RecallingSource,
)
from actors.observe.errors import ObserverStateUnreadable
from actors.observe.event_ring import EventRing
from actors.observe.moment import Moment
from actors.observe.observation import Observation
from actors.observe.observer_metrics import ObserverMetrics
from actors.observe.source_record import SourceRecord
from actors.observe.sources.configured import ConfiguredSource
from actors.runtime.errors import InvalidInput, Unavailable, X0Error, close_matches
from actors.runtime.shell import ActorShell
from actors.runtime.state_files import ensure_directory, exclusive_lock, write_atomic
from actors.topology.events import EventSeverity

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.observe.answers import MeshView
    from actors.observe.contract import (
        LeftOutPage,
        ObservedNetwork,
        ObserverOptions,
        ReadingSource,
        SourceState,
    )
    from actors.runtime.metrics import Metrics
    from actors.topology.events import EventPage, NetworkEvent
    from actors.topology.link_state import LinkState, Roster
    from actors.topology.network import Reading

POLL_LIMIT_S: Final = 300.0  # longest time of one poll
TICK_S: Final = 5.0  # longest time between two looks at the clock
STORE_S: Final = 300.0  # interval between two writes of what changes without an event
READY_S: Final = 8.0  # longest wait of a question for the first look
# A reading is tens of thousands of objects that live until the next one: to look through them for
# garbage while they are being made finds none, and takes a third of the time.
_COLLECT: Final = (100_000, 10, 10)
LOCK_S: Final = 5.0  # longest wait for a predecessor that is just ending

T = TypeVar("T")


class ObserverActor(ActorShell):
    """Keeps what sources say of a real network.

    Args:
        options: what it is started with.
        metrics: where it counts; None: Ray exports it.
    """

    probe_s = 0.1  # it is at rest for most of each minute, and is to take nothing then

    def __init__(self, options: ObserverOptions, *, metrics: Metrics | None = None) -> None:
        super().__init__(OBSERVER, log_level=options.log_level, metrics=metrics)
        gc.set_threshold(*_COLLECT)
        self._options = options
        self._path = options.directory / "observer.state"
        self._counts = ObserverMetrics(self._metrics)
        self._world: Observation | None = None
        self._turn = asyncio.Lock()  # who holds it may use `_world`
        self._held = contextlib.ExitStack()  # the lock of the directory
        self._loaded = asyncio.Event()
        self._tried = asyncio.Event()
        self._untried = {source.name for source in options.sources}
        self._stored_at = -STORE_S
        self._network: tuple[object, ObservedNetwork] | None = None
        self._revisions = 0
        self._view: tuple[object, MeshView] | None = None
        self._begin(self._first_look(), ObserverContract)
        self._vital(self._let_time_pass())
        for source in options.sources:
            self._vital(self._follow(source))

    # -- start -----------------------------------------------------------------------------------

    async def _first_look(self) -> None:
        """Load the stored state, and wait until each source was tried, or members are known."""
        self._waits_for = f"the state in {self._options.directory}"
        self._world = await asyncio.to_thread(self._load)
        for source in self._options.sources:
            if isinstance(source, RecallingSource):
                source.recall(self._world.records[source.name].nodes)
        self._loaded.set()
        world = self._world
        self._log.info(
            "observer starts",
            sources=[source.name for source in self._options.sources],
            members=len(world.members),
            poll_s=self._options.poll_s,
        )
        if not world.members and self._untried:
            self._say_what_is_awaited()
            await self._tried.wait()
        self._log.info("observer ready", nodes=len(world.members), links=len(world.links))

    def _load(self) -> Observation:
        records = [
            SourceRecord(
                source.name,
                source.kind,
                interval_s=source.interval_s if isinstance(source, ConfiguredSource) else 0.0,
            )
            for source in self._options.sources
        ]
        if len({record.name for record in records}) < len(records):
            raise InvalidInput(
                "the sources cannot be observed",
                "two of them have the same name",
                "Give each source once.",
                source="sources",
            )
        ensure_directory(self._options.directory)
        lock = self._options.directory / "observer.lock"
        self._held.enter_context(exclusive_lock(lock, timeout_s=LOCK_S))
        rules = self._options.rules
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return Observation(rules, records, EventRing(self._incarnation))
        except OSError as error:
            why = error.strerror or str(error)
            raise ObserverStateUnreadable(self._path, why) from error
        try:
            return saving.decode(content, rules, records, self._now())
        except ValueError as error:
            raise ObserverStateUnreadable(self._path, str(error)) from error

    def _say_what_is_awaited(self) -> None:
        self._waits_for = f"the first answer of {', '.join(sorted(self._untried))}"

    # -- loops -----------------------------------------------------------------------------------

    async def _follow(self, source: ReadingSource) -> None:
        """Poll one source for ever."""
        await self._loaded.wait()
        while True:
            began = self._clock.now()
            await self._poll(source)
            self._untried.discard(source.name)
            self._say_what_is_awaited()
            if not self._untried:
                self._tried.set()
            took = self._clock.now() - began
            await asyncio.sleep(max(self._options.poll_s - took, 0.0))

    async def _poll(self, source: ReadingSource) -> None:
        name, began = source.name, self._clock.now()
        outcome, why = "failed", ""
        reading: Reading | None = None
        try:
            async with asyncio.timeout(POLL_LIMIT_S):
                reading = await source.poll()
            outcome = "unchanged" if reading is None else "answered"
        except X0Error as error:
            why = str(error)
        except TimeoutError:
            why = f"it did not answer within {POLL_LIMIT_S:g} s"
        except Exception as error:  # noqa: BLE001 - handled: other sources go on
            self._errors.handle(error, source=name)
            why = f"{type(error).__name__}: {error}; this is a defect, the log has the details"
        self._counts.polled(name, outcome, self._clock.now() - began)
        if outcome == "failed":
            await self._step(lambda world, now: world.failed(name, why, now))
        else:
            await self._step(lambda world, now: world.answered(name, reading, now))

    async def _let_time_pass(self) -> None:
        await self._loaded.wait()
        while True:
            await asyncio.sleep(min(TICK_S, self._options.poll_s))
            await self._step(Observation.tick)

    # -- steps -----------------------------------------------------------------------------------

    async def _step(self, work: Callable[[Observation, Moment], None]) -> None:
        """Take something in, store what it changed, and tell."""
        await self._loaded.wait()
        async with self._turn:
            world = self._world
            assert world is not None  # noqa: S101 - it is loaded
            last, stamp = world.ring.last, _stamp(world)
            try:
                await asyncio.to_thread(self._change, world, work)
            finally:
                self._tell(world.ring.page(last, world.ring.last - last).events)
                self._counts.says(world, self._now())
                if _stamp(world) != stamp:
                    self._counts.stands(world)

    def _change(self, world: Observation, work: Callable[[Observation, Moment], None]) -> None:
        last, now = world.ring.last, self._now()
        try:
            work(world, now)
        finally:
            if world.ring.last != last or now.steady - self._stored_at >= STORE_S:
                with self._errors.guard(during="storing"):
                    write_atomic(self._path, saving.encode(world, now), private=True)
                    self._stored_at = now.steady

    def _tell(self, events: tuple[NetworkEvent, ...]) -> None:
        self._counts.happened(events)
        for event in events:
            write = self._log.info if event.severity is EventSeverity.INFO else self._log.warning
            write(event.what, kind=event.kind.value, number=event.number)

    def _now(self) -> Moment:
        return Moment(time.time(), self._clock.now())

    # -- answers ---------------------------------------------------------------------------------

    async def _ask(self, question: Callable[[Observation], T]) -> T:
        """Answer a question after the first look, in a thread."""
        try:
            async with asyncio.timeout(READY_S):
                await self._ready()
        except TimeoutError:
            raise Unavailable(
                "the network has not been observed yet",
                f"the observer waits for {self._waits_for}",
                "Retry after 2 s; `x0 source test` shows what a source says.",
                retry_after_s=2.0,
            ) from None
        async with self._turn:
            world = self._world
            assert world is not None  # noqa: S101 - it is ready
            return await asyncio.to_thread(question, world)

    async def network(self) -> ObservedNetwork:
        """See `ObserverContract.network`."""
        return await self._ask(self._answer_network)

    def _answer_network(self, world: Observation) -> ObservedNetwork:
        stamp = _stamp(world)
        if self._network is None or self._network[0] != stamp:
            self._revisions += 1
            revision = (self._incarnation, self._revisions)
            self._network = (stamp, replace(answers.network(world), revision=revision))
        return replace(self._network[1], at=world.at)

    async def network_if_changed(self, known: tuple[int, int]) -> ObservedNetwork | float:
        """See `ObserverContract.network_if_changed`."""
        found = await self.network()
        return found.at if found.revision == known else found

    async def _mesh_view(self) -> MeshView:
        return await self._ask(self._answer_view)

    def _answer_view(self, world: Observation) -> MeshView:
        stamp = _stamp(world)
        if self._view is None or self._view[0] != stamp:
            self._view = (stamp, answers.mesh_view(world))
        return self._view[1]

    def _present_view(self) -> MeshView | None:
        """What is told now, if nothing has to be computed for it nor is being changed."""
        world, view = self._world, self._view
        if world is None or view is None or self._turn.locked() or view[0] != _stamp(world):
            return None
        return view[1]

    async def roster(self) -> Roster:
        """See `ObserverContract.roster`."""
        return (await self._mesh_view()).roster

    async def link_state(self, known: tuple[int, int] | None) -> LinkState | None:
        """See `ObserverContract.link_state`."""
        # Whoever watches asks all the time, mostly in vain: that takes no thread.
        state = (self._present_view() or await self._mesh_view()).state
        return None if known == (state.revision, state.digest) else state

    async def sources(self) -> tuple[SourceState, ...]:
        """See `ObserverContract.sources`."""
        await self._loaded_or_failed()
        async with self._turn:
            assert self._world is not None  # noqa: S101 - it is loaded
            return answers.source_states(self._world, self._now())

    async def left_out(self, source: str, after: int, most: int) -> LeftOutPage:
        """See `ObserverContract.left_out`."""
        await self._loaded_or_failed()
        async with self._turn:
            assert self._world is not None  # noqa: S101 - it is loaded
            record = self._world.records.get(source)
            if record is None:
                raise InvalidInput(
                    f"source {source[:80]!a} is refused",
                    "there is none of that name",
                    close_matches(source, self._world.records)
                    or "GET /v1/network/sources has the names.",
                    source="query",
                    entry="source",
                )
            return answers.left_out(record, after, most)

    async def events(self, after: int, most: int) -> EventPage:
        """See `ObserverContract.events`."""
        await self._loaded_or_failed()
        async with self._turn:
            assert self._world is not None  # noqa: S101 - it is loaded
            return self._world.ring.page(after, most)

    async def _loaded_or_failed(self) -> None:
        """Wait for the state, which is there before any source has answered."""
        if not self._loaded.is_set():
            if self._started.is_set():
                await self._ready()  # raises: the start has failed
            await self._loaded.wait()

    async def take(self, reading: Reading, whole: bool) -> None:  # noqa: FBT001 - a remote call
        """See `ObserverContract.take`."""
        if len(reading.nodes) > MAX_NODES or len(reading.links) > MAX_LINKS:
            raise InvalidInput(
                "the reading is refused",
                f"it has {len(reading.nodes)} nodes and {len(reading.links)} links",
                f"Send at most {MAX_NODES} nodes and {MAX_LINKS} links at once.",
                source=reading.source,
            )
        await self._loaded_or_failed()
        await self._step(lambda world, now: world.pushed(reading, now, whole=whole))

    async def retire(self, node: str) -> None:
        """See `ObserverContract.retire`."""
        await self._ready()
        await self._step(lambda world, now: world.retire(node, now))


def _stamp(world: Observation) -> object:
    """Something that differs after every change of what is known."""
    return world.ring.last, world.judged_at


_KEEPS: type[ObserverContract] = ObserverActor
