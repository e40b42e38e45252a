"""The network that a command lists: that of the running session, or a map.

Where a session has both networks and neither is named, it is the observed one; the listing says
which it is. Imports nothing that takes time before it is known that a map is wanted.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from actors.mesh.errors import NoEmulatedMesh
from actors.runtime.errors import Unavailable
from actors.topology.listing import ListedLink, ListedNode, NetworkListing, etx_of
from actors.topology.provenance import Network
from jobs.launch import found
from jobs.launch.gateway_client import GatewayClient, NoAnswer
from jobs.launch.record import SessionRecord, nothing_on_record
from serve_apps.gateway.errors import NoObserver

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from actors.topology.model import Topology
    from jobs.terminal.reporting import Report

OPENING_S: Final = 60.0  # age of a session after which its gateway is not waited for
_POLL_S: Final = 0.25
_OF: Final = {Network.OBSERVED: "/v1/network", Network.EMULATED: "/v1/mesh"}
_OF_A_NODE: Final = ("id", "name", "state", "since", "gateway", "clients", "location")
_OF_A_LINK: Final = ("a", "b", "kind", "state", "quality", "parallel")


def of(
    options: Mapping[str, Any], report: Report, network: Network | None = None
) -> NetworkListing:
    """The network that a command is about.

    Args:
        options: those that choose a map, by the name of their setting; None for what is not given.
        report: is told the progress, and what the answer is about.
        network: of the running session; None: what it observes, else what it emulates, else a map.

    Raises:
        NotRunning: a network of the running session is asked for, and none runs.
        TopologyError: the map cannot be used.
        Unavailable: a session is running, and does not tell.
    """
    if all(value is None for value in options.values()):
        state_dir = found.state_dir()
        observed = _of_observer(state_dir) if network is not Network.EMULATED else None
        if observed is not None:
            return observed
        record = SessionRecord.load(state_dir)
        if record is not None and found.has_gateway(record):
            report.progress("asking the running session")
            return _of_recorded(record, state_dir, report, network)
        if network is not None:
            raise nothing_on_record(state_dir)
    return _of_map(options, report)


def _of_observer(state_dir: Path) -> NetworkListing | None:
    """What the observer of the session on record tells; None: there is none on this machine."""
    from actors.observe import client as observer
    from actors.observe.contract import OBSERVER
    from jobs.launch import by_socket

    network = by_socket.asked(state_dir, OBSERVER, observer.network)
    record = SessionRecord.load(state_dir)
    if network is None or record is None:
        return None
    nodes = [{name: getattr(node, name) for name in _OF_A_NODE} for node in network.nodes]
    links = [{name: getattr(link, name) for name in _OF_A_LINK} for link in network.links]
    return _listing(Network.OBSERVED, record.observed, nodes, links)


def _of_recorded(
    record: SessionRecord, state_dir: Path, report: Report, network: Network | None
) -> NetworkListing:
    """What the session on record tells; one that has just been started is waited for.

    Its gateway opens some seconds after `x0 watch --detach` has returned.

    Raises:
        Unavailable: it does not tell.
    """
    while True:
        try:
            client = GatewayClient.of(record, state_dir)
            if client is None:  # its token is made when it opens
                raise _no_answer("its gateway has not opened yet")
            return of_session(client, network)
        except Unavailable as error:
            if not 0 <= time.time() - record.started_at < OPENING_S:
                raise
            report.progress(f"waiting for the session, which has just been started: {error.why}")
        time.sleep(_POLL_S)


def of_session(
    client: GatewayClient, network: Network | None = None, answer_s: float = 8.0
) -> NetworkListing:
    """What the gateway of a session tells of this network, or of the first that it tells of.

    Raises:
        Unavailable: it does not tell.
    """
    reasons = []
    for asked in _OF if network is None else (network,):
        path = _OF[asked]
        try:
            nodes = client.ask("GET", f"{path}/nodes", answer_s=answer_s)["nodes"]
            links = client.ask("GET", f"{path}/links", answer_s=answer_s)["links"]
        except (NoObserver, NoEmulatedMesh):
            if network is not None:
                raise
            continue
        except NoAnswer as error:
            reasons.append(f"of the {asked} network: {error}")
            continue
        return _listing(asked, client.url, nodes, links)
    raise _no_answer("; ".join(reasons))


def _no_answer(why: str) -> Unavailable:
    return Unavailable(
        "the running session does not tell its network",
        why,
        "See `x0 status`; with --topology a map is listed instead.",
        retry_after_s=2.0,
    )


def route_of_mesh(client: GatewayClient, source: str, destination: str) -> list[str]:
    """The path between two ids that the tables of the emulated mesh have.

    Raises:
        NoRoute: they have none.
        Unavailable: the gateway does not tell.
    """
    path = "/".join(quote(node, safe="") for node in (source, destination))
    try:
        told = client.ask("GET", f"/v1/mesh/routes/{path}")
    except NoAnswer as error:
        raise Unavailable(
            "the gateway does not tell the route",
            str(error),
            "Retry; see `x0 status`.",
            retry_after_s=2.0,
        ) from error
    return [str(node) for node in told["path"]]


def topology_of(listing: NetworkListing) -> Topology:
    """Its nodes, and the links that are up.

    Raises:
        TopologyError: no link is up.
    """
    from actors.topology.selection import Wanted, select

    return select(listing.reading(), Wanted(all_components=True)).topology


def _listing(
    network: Network, source: str, nodes: list[dict[str, Any]], links: list[dict[str, Any]]
) -> NetworkListing:
    names = {node["id"]: node.get("name") or None for node in nodes}
    degree = dict.fromkeys(names, 0)
    for link in links:
        for end in (link["a"], link["b"]):
            degree[end] = degree.get(end, 0) + 1
    return NetworkListing(
        network,
        source,
        tuple(
            ListedNode(
                id=node["id"],
                name=names[node["id"]],
                state=node["state"],
                since=node.get("since"),
                links=degree[node["id"]],
                gateway=node.get("gateway"),
                clients=node.get("clients"),
                location=_pair(node.get("location")),
            )
            for node in nodes
        ),
        tuple(_link(link, names) for link in links),
    )


def _link(told: Mapping[str, Any], names: Mapping[str, str | None]) -> ListedLink:
    quality = _pair(told.get("quality")) or (told.get("quality_a_to_b"), told.get("quality_b_to_a"))
    costs = told.get("etx_a_to_b"), told.get("etx_b_to_a")
    known = [cost for cost in costs if cost is not None]
    return ListedLink(
        a=told["a"],
        b=told["b"],
        a_name=names.get(told["a"]),
        b_name=names.get(told["b"]),
        kind=told["kind"],
        state=told["state"],
        quality=quality,
        etx=max(known) if known else etx_of(*quality),
        parallel=told.get("parallel", 1),
    )


def _pair(told: Any) -> Any:  # noqa: ANN401 - two values as JSON has them
    return None if told is None else (told[0], told[1])


def _of_map(options: Mapping[str, Any], report: Report) -> NetworkListing:
    from dataclasses import replace

    from actors.topology import fetch, source
    from actors.topology.listing import of_topology
    from serve_apps.settings import Settings

    settings = Settings.load(**options)
    name = fetch.shown(settings.topology)
    if options.get("topology") is None:
        report.note(f"no session is running: this is about {name}")
    report.progress(f"reading {name}")
    imported = source.read(
        settings.topology, vpn=settings.vpn, all_components=True, quality=settings.quality
    )
    listing = of_topology(imported.topology, Network.MAP, name)
    return replace(listing, left_out=imported.left_out, warnings=imported.warnings)
