"""Whom the twin's questions go to: an actor of the running session, or a map that is read here."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Final

from pydantic import TypeAdapter

from actors.mesh.errors import NoEmulatedMesh
from actors.runtime.errors import NotRunning, Unavailable
from actors.topology import fetch
from actors.topology.provenance import Network
from actors.twin import client, progress
from actors.twin.contract import TWIN, twins
from actors.twin.results import About, Reply, ScenarioAnswer
from jobs.launch import by_socket, found, interruption
from jobs.launch.gateway_client import NoAnswer
from jobs.launch.record import SessionRecord
from serve_apps.gateway.errors import NoObserver

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from actors.twin.scenario import Scenario
    from jobs.terminal.reporting import Report
    from serve_apps.settings import Settings

LIVE_S: Final = 600.0  # that the twin of the running mesh may take
_GATEWAY_S: Final = 45.0  # for an answer of the gateway, which gives up after 40
_OF_A_MAP: Final = {"topology", "vpn", "all_components"}  # of a scenario
_TICK_S: Final = 2.0  # between two words of progress


def ask(
    scenario: Scenario,
    settings: Settings,
    report: Report,
    *,
    live: bool,
    plot: bool,
    network: Network | None = None,
) -> Reply:
    """Ask everything that a scenario asks.

    Args:
        scenario: the questions.
        settings: name the map, and where a session may be running.
        report: is told the progress.
        live: about a network of the running session, if there is one.
        plot: whether to draw.
        network: of the running session; None: the emulated mesh, else the observed network.

    Raises:
        NotRunning: a network of the running session is asked about, and none runs.
        NoEmulatedMesh, NoObserver: the running session has no such network.
        UnknownNode: a name is of no node.
        InvalidInput: the scenario cannot be asked of this mesh.
        TopologyError: the map cannot be used.
        Unavailable: the twin of the running mesh does not answer.
    """
    if live:
        report.progress("looking for a running session")
        try:
            return _of_running(scenario, settings, report, network, plot=plot)
        except _NothingRuns as error:
            if network is not None:
                raise error.why from None
            report.note(f"no session is running: this is about {fetch.shown(settings.topology)}")
    return _of_map(scenario, settings, report, plot=plot)


class _NothingRuns(Exception):  # noqa: N818 - caught above
    """There is no session to ask about."""

    def __init__(self, why: NotRunning) -> None:
        super().__init__()
        self.why = why


def _of_running(
    scenario: Scenario, settings: Settings, report: Report, network: Network | None, *, plot: bool
) -> Reply:
    with _progress(report, "the twin of the running session"):
        record = SessionRecord.load(settings.state_dir)
        name = _twin_of(network, record.networks) if record is not None else TWIN
        answered = by_socket.asked(
            settings.state_dir,
            name,
            lambda: client.ask(scenario, plot=plot, limit_s=LIVE_S, twin=name),
        )
        if answered is None and not plot:
            answered = _by_gateway(scenario, settings, network)
        return answered or _by_ray(scenario, settings, network, plot=plot)


def _twin_of(network: Network | None, networks: Collection[Network]) -> str:
    """Name of the twin of this network of a session that has some; None: of the one it means.

    Raises:
        NoEmulatedMesh, NoObserver: the session has no such network.
    """
    if network is None:
        return TWIN
    names = twins(networks)
    if network not in names:
        raise NoEmulatedMesh if network is Network.EMULATED else NoObserver
    return names[network]


def _by_gateway(scenario: Scenario, settings: Settings, network: Network | None) -> Reply | None:
    """Ask through the gateway; None: there is none, or the question is too much for it."""
    client = found.gateway(settings.state_dir)
    if client is None:
        return None
    asked = scenario.model_dump(mode="json", exclude_unset=True, exclude=_OF_A_MAP)
    try:
        path = "/v1/twin/scenarios" if network is None else f"/v1/twin/scenarios?network={network}"
        told = client.ask("POST", path, asked, _GATEWAY_S)
    except (NoAnswer, Unavailable):
        return None
    about, names = About(**told.pop("mesh")), told.pop("names")
    return Reply(about, TypeAdapter(ScenarioAnswer).validate_python(told), names)


def _by_ray(
    scenario: Scenario, settings: Settings, network: Network | None, *, plot: bool
) -> Reply:
    """Ask the actor from this process, which joins the cluster."""
    from jobs.launch import session

    try:
        running = session.running(settings)
    except NotRunning as error:
        raise _NothingRuns(error) from error
    try:
        name = _twin_of(network, running.record.networks)
        return interruption.run(client.ask(scenario, plot=plot, limit_s=LIVE_S, twin=name))
    finally:
        running.close()


def _of_map(scenario: Scenario, settings: Settings, report: Report, *, plot: bool) -> Reply:
    import numpy as np

    from actors.topology import source
    from actors.twin.conditions import Conditions
    from actors.twin.intact import Intact
    from actors.twin.reply import reply

    with (
        _progress(report, f"reading {fetch.shown(settings.topology)}") as tell,
        progress.watched(tell),
    ):
        imported = source.read(
            settings.topology,
            vpn=settings.vpn,
            all_components=settings.all_components,
            quality=settings.quality,
        )
        topology = imported.topology
        about = About(
            live=False,
            source=fetch.shown(settings.topology),
            nodes=topology.n_nodes,
            links=topology.n_links,
            links_down=0,
            hello_s=settings.hello_s,
            left_out=dict(imported.left_out),
            warnings=list(imported.warnings),
        )
        known = Intact(topology, Conditions(hello_s=settings.hello_s))
        places = topology.nodes.kilometres()
        everywhere = dict(zip(topology.ids, map(tuple, places.tolist()), strict=True))
        coordinates = everywhere if np.isfinite(places).all() else None
        return reply(scenario, about, known, plot=plot, coordinates=coordinates)


@contextlib.contextmanager
def _progress(report: Report, what: str) -> Iterator[progress.Watcher]:
    """Say again and again what is being done and for how long, as the watcher is told it."""
    began, over = time.monotonic(), threading.Event()
    doing = [what]

    def watcher(step: str, share: float | None) -> None:
        doing[0] = step if share is None else f"{step}: {share:.0%}"

    def tick() -> None:
        while not over.wait(_TICK_S):
            report.progress(f"{doing[0]} ({time.monotonic() - began:.0f} s)")

    ticking = threading.Thread(target=tick, daemon=True)
    report.progress(what)
    ticking.start()
    try:
        yield watcher
    finally:
        over.set()
        ticking.join()
        report.settle()
