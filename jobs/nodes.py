"""`x0 nodes`: the nodes of the network."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.terminal import completion, map_options, network_options, reporting

ORDERS = "name, id, state, since, links, clients"
STATES = "up, cut_off, silent, gone, unknown"


@reporting.reported
def command(
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="Only nodes with this in their name or id.")
    ] = "",
    state: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STATE",
            help=f"Only nodes in this state: {STATES}. May be repeated.",
            autocompletion=completion.words(STATES),
        ),
    ] = None,
    gateways: Annotated[
        bool, typer.Option("--gateways", help="Only nodes that lead to the internet.")
    ] = False,
    sort: Annotated[
        str,
        typer.Option(help=f"By {ORDERS}.", autocompletion=completion.words(ORDERS)),
    ] = "name",
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
    of_network: network_options.OfNetwork = None,
    topology: network_options.Topology = None,
    no_vpn: map_options.NoVpn = False,
    quality: map_options.Quality = None,
    as_json: reporting.AsJson = False,
) -> int:
    """List nodes: of the observed network, else of the emulated mesh, or of a map.

    Which are silent?  x0 nodes --state silent --sort since

    Where are the people?  x0 nodes --sort clients --limit 10
    """
    from dataclasses import asdict

    from actors.topology import listing
    from jobs.launch import listings
    from jobs.terminal import listing_tables

    report = reporting.Report(as_json)
    chosen = network_options.chosen(topology, quality, no_vpn=no_vpn)
    network = listings.of(chosen, report, network_options.running(of_network, chosen))
    fitting = listing.chosen_nodes(
        network.nodes, containing=text, states=state or (), gateways=gateways
    )
    rows = listing.ordered_nodes(fitting, sort)[:limit]
    report.result(
        network_options.document(network, fitting=len(fitting), nodes=list(map(asdict, rows))),
        *listing_tables.nodes(rows),
        *listing_tables.about(network, len(rows), len(network.nodes), "nodes"),
    )
    return 0


if __name__ == "__main__":
    reporting.run(command)
