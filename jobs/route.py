"""`x0 route`: the way between two nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jobs.terminal import completion, exit_codes, map_options, network_options, reporting

if TYPE_CHECKING:
    from actors.topology.listing import NetworkListing
    from actors.topology.route import FoundRoute

_NODE = "id, name or its beginning"


@reporting.reported
def command(
    source: Annotated[
        str,
        typer.Argument(help=f"From this node: {_NODE}.", autocompletion=completion.node),
    ],
    destination: Annotated[
        str,
        typer.Argument(help=f"To this node: {_NODE}.", autocompletion=completion.node),
    ],
    of_network: network_options.OfNetwork = None,
    topology: network_options.Topology = None,
    no_vpn: map_options.NoVpn = False,
    quality: map_options.Quality = None,
    as_json: reporting.AsJson = False,
) -> int:
    """Tell the route between two nodes, hop by hop.

    Of an emulated mesh, it is the one that its nodes use now. Of an observed network and of a map,
    it is the one of the lowest ETX over links that are up.

    Exit code: 0 when there is a route, 3 when there is none; another one when it cannot be told
    (see `x0 --help`).
    """
    from dataclasses import asdict

    from jobs.launch import listings
    from jobs.terminal import listing_tables

    report = reporting.Report(as_json)
    chosen = network_options.chosen(topology, quality, no_vpn=no_vpn)
    network = listings.of(chosen, report, network_options.running(of_network, chosen))
    naming = network.naming()
    start, end = (network.nodes[naming.find(text)].id for text in (source, destination))
    found = _found(network, start, end)
    what = f"{naming.label(start)} to {naming.label(end)}"
    path = () if found is None else found.path
    names = {node: name for node in (start, end, *path) if (name := naming.name_of(node))}
    told = None if found is None else asdict(found)
    report.result(
        network_options.document(network, source=start, destination=end, names=names, route=told),
        f"{what}: {'no path leads there now.' if found is None else ''}".rstrip(),
        *([] if found is None else listing_tables.route(found, names)),
        *listing_tables.about(network, len(network.nodes), len(network.nodes), "nodes"),
    )
    return 0 if found is not None else exit_codes.NOT_WELL


def _found(network: NetworkListing, source: str, destination: str) -> FoundRoute | None:
    """The route between two ids; None if there is none."""
    from actors.topology import route
    from actors.topology.errors import TopologyError
    from actors.topology.provenance import Network
    from jobs.launch import found, listings
    from serve_apps.gateway.errors import NoRoute

    try:
        topology = listings.topology_of(network)
    except TopologyError:  # no link is up
        return None
    client = found.gateway(found.state_dir()) if network.network == Network.EMULATED else None
    if client is None:
        return route.best(topology, topology.index_of(source), topology.index_of(destination))
    try:
        path = listings.route_of_mesh(client, source, destination)
    except NoRoute:
        return None
    return route.along(topology, [topology.index_of(node) for node in path])


if __name__ == "__main__":
    reporting.run(command)
