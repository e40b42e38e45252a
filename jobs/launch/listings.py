"""The network that a command lists: that of the running session, or a map.

Where a session observes a real network it is that one, else its emulated mesh; the listing says
which. Imports nothing that takes time before it is known that a map is wanted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from actors.runtime.errors import Unavailable
from actors.topology.listing import ListedLink, ListedNode, NetworkListing, etx_of
from jobs.launch import found
from jobs.launch.gateway_client import NoAnswer
from jobs.launch.record import SessionRecord

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from actors.topology.model import Topology
    from jobs.launch.gateway_client import GatewayClient
    from jobs.terminal.reporting import Report

OBSERVED: Final = "observed"
EMULATED: Final = "emulated"
MAP: Final = "map"
_OF: Final = {OBSERVED: "/v1/network", EMULATED: "/v1/mesh"}
_OF_A_NODE: Final = ("id", "name", "state", "since", "gateway", "clients", "location")
_OF_A_LINK: Final = ("a", "b", "kind", "state", "quality", "parallel")


def of(options: Mapping[str, Any], report: Report) -> NetworkListing:
    """The network that a command is about.

    Args:
        options: those that choose a map, by the name of their setting; None for what is not given.
        report: is told the progress, and what the answer is about.

    Raises:
        TopologyError: the map cannot be used.
        Unavailable: a session is running, and does not tell.
    """
    if all(value is None for value in options.values()):
        state_dir = found.state_dir()
        observed = _of_observer(state_dir)
        if observed is not None:
            return observed
        client = found.gateway(state_dir)
        if client is not None:
            report.progress("asking the running session")
            return of_session(client)
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
    return _listing(OBSERVED, record.observed, nodes, links)


def of_session(client: GatewayClient, answer_s: float = 8.0) -> NetworkListing:
    """What the gateway of a session tells.

    Raises:
        Unavailable: it does not tell.
    """
    reasons = []
    for network, path in _OF.items():
        try:
            nodes = client.ask("GET", f"{path}/nodes", answer_s=answer_s)["nodes"]
            links = client.ask("GET", f"{path}/links", answer_s=answer_s)["links"]
        except NoAnswer as error:
            reasons.append(f"of the {network} network: {error}")
            continue
        return _listing(network, client.url, nodes, links)
    raise Unavailable(
        "the running session does not tell its network",
        "; ".join(reasons),
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
    network: str, source: str, nodes: list[dict[str, Any]], links: list[dict[str, Any]]
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
    listing = of_topology(imported.topology, MAP, name)
    return replace(listing, left_out=imported.left_out, warnings=imported.warnings)
