"""The Ray actor that holds the twin of the live mesh.

A thin shell around `live` and `reply`: it polls the shards, keeps the mesh as their nodes know it,
and answers questions in a bounded number of threads. It decides nothing, and the mesh works
without it.

Ray restarts it when it dies and runs the constructor again; it reads all its state again from the
shards.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from actors.runtime.errors import InvalidInput, Unavailable, X0Error
from actors.runtime.shell import ActorShell
from actors.topology.live import Watch
from actors.twin import progress
from actors.twin.conditions import Conditions
from actors.twin.contract import LONGEST_S, TwinContract
from actors.twin.intact import Intact
from actors.twin.layout import layout
from actors.twin.reply import reply
from actors.twin.results import About, Reply

if TYPE_CHECKING:
    from actors.topology.live import LiveMesh
    from actors.topology.model import Topology
    from actors.topology.provenance import Provenance
    from actors.twin.contract import TwinOptions
    from actors.twin.reply import Coordinates
    from actors.twin.scenario import Scenario

READY_S: Final = 10.0  # longest wait of a question for the first view of the mesh
AT_ONCE: Final = 2  # questions that are answered at once
WAITING: Final = 16  # most questions under way, waiting ones included


# No slots: the cached property lives in __dict__.
@dataclass(eq=False)
class _View:
    """The mesh as it was seen."""

    intact: Intact
    about: About
    stamp: tuple[int, int]  # stamp of the data that it was made from
    seen_at: float  # time when it was last confirmed, s

    @cached_property
    def coordinates(self) -> Coordinates:
        """Where the nodes are drawn."""
        topology = self.intact.topology
        found = layout(topology).tolist()
        return {name: (x, y) for name, (x, y) in zip(topology.ids, found, strict=True)}

    def keep(self, old: _View) -> None:
        """Take over results of the previous view that are still valid."""
        mine, other = self.intact.topology, old.intact.topology
        if mine == other and mine.nodes.same(other.nodes):
            self.intact = old.intact
        coordinates = old.__dict__.get("coordinates")
        if coordinates and mine.ids == other.ids and np.array_equal(mine.ends, other.ends):
            self.__dict__["coordinates"] = coordinates


class _Stopped(Exception):  # noqa: N818 - raised and caught in this module
    """The asker has gone."""


class TwinActor(ActorShell):
    """Answers questions about the live mesh.

    Args:
        options: options that the twin is started with.
    """

    def __init__(self, options: TwinOptions) -> None:
        super().__init__(options.name, log_level=options.log_level)
        self._options = options
        self._watch = Watch(options.source, self._clock)
        self._view: _View | None = None
        self._provenance: Provenance | None = None
        self._said = ""
        self._known = asyncio.Event()
        self._under_way = 0
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="twin")
        self._begin(self._first_look(), TwinContract)
        self._vital(self._watch.run(self._seen))

    async def _first_look(self) -> None:
        await self._known.wait()

    # -- looking at the mesh ---------------------------------------------------------------------

    async def _seen(self) -> None:
        """Make a view of the mesh from the latest state of the watch."""
        mesh, error = self._watch.mesh, self._watch.error
        if error:
            self._waits_for = error
            if error != self._said:
                self._log.warning("the mesh cannot be seen whole", why=error)
        self._said = error
        if mesh is None or not mesh.is_whole:
            return  # keep the previous view, the last complete one
        if self._view is None or self._view.stamp != (mesh.roster.revision, mesh.changes):
            self._take(mesh, await asyncio.to_thread(mesh.topology), self._watch.seen_at)
        else:
            self._view.seen_at = self._watch.seen_at

    def _take(self, mesh: LiveMesh, topology: Topology, now: float) -> None:
        roster = mesh.roster
        possible = int(roster.present[roster.topology.ends].all(axis=1).sum())
        about = About(
            live=True,
            source=roster.source,
            nodes=topology.n_nodes,
            links=topology.n_links,
            links_down=possible - topology.n_links,
            hello_s=self._options.hello_s,
            revision=roster.revision,
        )
        intact = Intact(topology, Conditions(hello_s=about.hello_s))
        view = _View(intact, about, (roster.revision, mesh.changes), now)
        if self._view is not None:
            view.keep(self._view)
        self._view = view
        if not self._known.is_set():
            self._log.info("twin ready", nodes=topology.n_nodes, links=topology.n_links)
            # Whoever has just started a session asks something soon.
            self._start(asyncio.to_thread(intact.prepare))
        self._known.set()

    # -- answering -------------------------------------------------------------------------------

    async def ask(self, scenario: Scenario, plot: bool, limit_s: float) -> Reply:  # noqa: FBT001 - a remote call
        """See `TwinContract.ask`."""
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
                await self._known.wait()
        except TimeoutError:
            raise Unavailable(
                "the twin is not ready", self._waits_for, "Retry after 2 s.", retry_after_s=2.0
            ) from None
        assert self._view is not None  # noqa: S101 - ready only with a view
        return self._view

    async def _about(self, view: _View) -> About:
        """What a view is of, with what is lacking of it now."""
        age_s = round(self._clock.now() - view.seen_at, 3)
        warnings: list[str] = []
        try:
            self._provenance = await self._options.source.provenance()
        except X0Error as error:  # the view is as good as before, and says its age
            warnings = [f"what was left out, and how old it is, was last told earlier: {error}"]
        known = self._provenance
        if known is None:
            return replace(view.about, age_s=age_s, warnings=warnings)
        return replace(
            view.about,
            age_s=age_s,
            network=str(known.network),
            source=known.source,
            left_out=dict(known.left_out),
            warnings=[*known.warnings, *warnings],
            source_age_s=known.age_s,
        )

    async def _answer(self, view: _View, scenario: Scenario, *, plot: bool, until: float) -> Reply:
        gone = threading.Event()
        about = await self._about(view)

        def watcher(what: str, share: float | None) -> None:
            if gone.is_set():
                raise _Stopped
            if self._clock.now() > until:
                raise _too_long(what, share)

        def work() -> Reply:
            with progress.watched(watcher):
                progress.step("the question")
                coordinates = view.coordinates if plot else None
                return reply(scenario, about, view.intact, plot=plot, coordinates=coordinates)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            gone.set()  # a thread cannot be cancelled: it checks this between steps


def _too_long(what: str, share: float | None) -> InvalidInput:
    came = f"it had come to {what}" + ("" if share is None else f", {share:.0%} of it done")
    return InvalidInput(
        "the question takes too long",
        f"when its time was over, {came}",
        "Ask for fewer samples, or less at once.",
        source="scenario",
    )


_KEEPS: type[TwinContract] = TwinActor
