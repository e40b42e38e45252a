"""The Ray actor that holds the twin of the live mesh.

A thin shell around `live` and `reply`: it looks at the shards again and again, keeps the mesh as
their nodes know it, and has questions answered by threads, a bounded number at once. It decides
nothing, and the mesh does not need it.

Ray restarts it when it dies and runs the constructor again; all that it knows the shards tell
again.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from actors.runtime import log, spawn
from actors.runtime.clock import SystemClock
from actors.runtime.error_handler import ErrorHandler
from actors.runtime.errors import InvalidInput, Unavailable
from actors.twin import pace
from actors.twin.client import TWIN
from actors.twin.conditions import Conditions
from actors.twin.intact import Intact
from actors.twin.layout import layout
from actors.twin.live import LiveMesh
from actors.twin.reply import About, Reply, reply

if TYPE_CHECKING:
    from actors.topology.link_state import LinkState, Roll
    from actors.topology.model import Topology
    from actors.twin.reply import Places
    from actors.twin.scenario import Scenario

LOOK_S: Final = 0.5  # between two looks at the shards
MEASURE_S: Final = 30.0  # between two looks at qualities, which drift without being advertised
SHARD_S: Final = 5.0  # for a shard to answer
READY_S: Final = 10.0  # that a question waits for the first look
AT_ONCE: Final = 2  # questions that are answered at once
WAITING: Final = 16  # questions under way, those that wait for their turn included
LONGEST_S: Final = 3600.0  # of one question


@dataclass(frozen=True, slots=True)
class TwinOptions:
    """What a twin is started with.

    Attributes:
        coordinator: name of the actor that owns the membership.
        shards: names of the actors that host nodes.
        hello_s: interval between Hellos, s.
        log_level: least severe line to log.
    """

    coordinator: str
    shards: tuple[str, ...]
    hello_s: float
    log_level: str


# No slots: the cached property lives in __dict__.
@dataclass(eq=False)
class _View:
    """The mesh as it was seen."""

    intact: Intact
    about: About
    stamp: tuple[int, int]  # of what it was made of
    seen_at: float  # s, when it was last seen to be so

    @cached_property
    def places(self) -> Places:
        """Where the nodes are drawn."""
        topology = self.intact.topology
        found = layout(topology).tolist()
        return {name: (x, y) for name, (x, y) in zip(topology.ids, found, strict=True)}

    def keep(self, old: _View) -> None:
        """Take over what was computed of the view before, as far as it still holds."""
        mine, other = self.intact.topology, old.intact.topology
        if mine == other:
            self.intact = old.intact
        places = old.__dict__.get("places")
        if places and mine.ids == other.ids and np.array_equal(mine.ends, other.ends):
            self.__dict__["places"] = places


class _Stopped(Exception):  # noqa: N818 - nobody sees it
    """The asker has gone."""


class TwinActor:
    """Answers questions about the live mesh.

    Args:
        options: what it is started with.
    """

    def __init__(self, options: TwinOptions) -> None:
        log.configure(options.log_level)
        self._options = options
        self._clock = SystemClock()
        self._log = log.get(__name__)
        self._errors = ErrorHandler("twin", spawn.ray_metrics())
        self._mesh: LiveMesh | None = None
        self._measured_at = -np.inf
        self._view: _View | None = None
        self._lacking = "it has not looked at the mesh yet"
        self._ready = asyncio.Event()
        self._under_way = 0
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="twin")
        self._watching = asyncio.get_running_loop().create_task(self._watch())
        self._errors.watch(self._watching)

    def __repr__(self) -> str:
        return TWIN

    # -- looking at the mesh ---------------------------------------------------------------------

    async def _watch(self) -> None:
        while True:
            try:
                await self._look()
            except Exception as error:  # noqa: BLE001 - said, and looked again
                why = spawn.explained(error, self._options.coordinator)
                if str(why) != self._lacking:
                    self._lacking = str(why)
                    self._errors.handle(why, severity="warning")
            await asyncio.sleep(LOOK_S)

    async def _look(self) -> None:
        """Take in what has changed since the last look."""
        mesh = self._mesh
        if mesh is None:
            mesh = self._mesh = LiveMesh(await self._roll())
        now = self._clock.now()
        measure = now - self._measured_at >= MEASURE_S
        silent = await self._hear(mesh, measure=measure)
        if mesh is not self._mesh or not all(map(mesh.known, self._options.shards)):
            return  # the view before, if there is one, is the last that was whole
        if measure:
            self._measured_at = now
        if self._view is None or self._view.stamp != (mesh.roll.revision, mesh.changes):
            self._take(mesh, await asyncio.to_thread(mesh.topology), now)
        elif not silent:
            self._view.seen_at = now

    async def _hear(self, mesh: LiveMesh, *, measure: bool) -> list[str]:
        """Let all shards tell what they know, if it is new or `measure`; those that do not."""
        shards = self._options.shards
        parts = await asyncio.gather(
            *(self._part(shard, None if measure else mesh.known(shard)) for shard in shards),
            return_exceptions=True,
        )
        silent = [shard for shard, part in zip(shards, parts, strict=True) if _failed(part)]
        if silent:
            self._lacking = f"{', '.join(silent)}: no answer"
        learnt = [
            mesh.learn(shard, part)
            for shard, part in zip(shards, parts, strict=True)
            if part is not None and not isinstance(part, BaseException)
        ]
        if not all(learnt):
            # A shard works by another membership: by a newer one, or by an older one not for long.
            roll = await self._roll()
            if roll.revision != mesh.roll.revision:
                self._mesh, self._measured_at = LiveMesh(roll), -np.inf
        return silent

    def _take(self, mesh: LiveMesh, topology: Topology, now: float) -> None:
        roll = mesh.roll
        possible = int(roll.present[roll.topology.ends].all(axis=1).sum())
        about = About(
            live=True,
            source=roll.source,
            nodes=topology.n_nodes,
            links=topology.n_links,
            links_down=possible - topology.n_links,
            hello_s=self._options.hello_s,
            revision=roll.revision,
        )
        intact = Intact(topology, Conditions(hello_s=about.hello_s))
        view = _View(intact, about, (roll.revision, mesh.changes), now)
        if self._view is not None:
            view.keep(self._view)
        self._view = view
        if not self._ready.is_set():
            self._log.info("twin ready", nodes=topology.n_nodes, links=topology.n_links)
        self._ready.set()

    async def _roll(self) -> Roll:
        roll: Roll = await spawn.find(self._options.coordinator).roll.remote()
        return roll

    async def _part(self, shard: str, known: tuple[int, int] | None) -> LinkState | None:
        async with asyncio.timeout(SHARD_S):
            part: LinkState | None = await spawn.find(shard).link_state.remote(known)
        return part

    # -- answering -------------------------------------------------------------------------------

    async def ask(self, scenario: Scenario, plot: bool, limit_s: float) -> Reply:  # noqa: FBT001 - a remote call
        """Answer everything that a scenario asks, and draw it if `plot`.

        Raises:
            Unavailable: the mesh is not known yet, or too many questions are under way.
            InvalidInput: it cannot be asked of this mesh, or takes longer than `limit_s`.
            UnknownNode: a name is of no node.
        """
        deadline = self._clock.now() + min(limit_s, LONGEST_S)
        if self._under_way >= WAITING:
            raise Unavailable(
                "the twin takes no more questions",
                f"{WAITING} are under way",
                "Retry after 2 s.",
                retry_after_s=2.0,
            )
        self._under_way += 1
        try:
            return await self._answer(await self._seen_mesh(), scenario, plot=plot, until=deadline)
        finally:
            self._under_way -= 1

    async def _seen_mesh(self) -> _View:
        try:
            async with asyncio.timeout(READY_S):
                await self._ready.wait()
        except TimeoutError:
            raise Unavailable(
                "the twin is not ready", self._lacking, "Retry after 2 s.", retry_after_s=2.0
            ) from None
        assert self._view is not None  # noqa: S101 - ready only with a view
        return self._view

    async def _answer(self, view: _View, scenario: Scenario, *, plot: bool, until: float) -> Reply:
        gone = threading.Event()
        about = replace(view.about, age_s=round(self._clock.now() - view.seen_at, 3))

        def watcher(what: str, share: float | None) -> None:
            if gone.is_set():
                raise _Stopped
            if self._clock.now() > until:
                raise _too_long(what, share)

        def work() -> Reply:
            with pace.watched(watcher):
                pace.step("the question")
                places = view.places if plot else None
                return reply(scenario, about, view.intact, plot=plot, places=places)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            gone.set()  # a thread cannot be cancelled, and asks this between its steps


def _failed(part: object) -> bool:
    return isinstance(part, BaseException)


def _too_long(what: str, share: float | None) -> InvalidInput:
    came = f"it had come to {what}" + ("" if share is None else f", {share:.0%} of it done")
    return InvalidInput(
        "the question takes too long",
        f"when its time was over, {came}",
        "Ask for fewer samples, or less at once.",
        source="scenario",
    )
