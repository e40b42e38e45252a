"""`x0 links`: the links of the network."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.terminal import completion, map_options, network_options, reporting

ORDERS = "quality (the worst first), etx, kind, state, name"
STATES = "up, degraded, down, unknown"


@reporting.reported
def command(
    node: Annotated[
        str | None,
        typer.Argument(
            metavar="NODE",
            help="Only links of this node: id, name or its beginning.",
            autocompletion=completion.node,
        ),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND",
            help="Only of this kind: wifi, vpn, other. May be repeated.",
            autocompletion=completion.words("wifi, vpn, other"),
        ),
    ] = None,
    state: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STATE",
            help=f"Only in this state: {STATES}. May be repeated.",
            autocompletion=completion.words(STATES),
        ),
    ] = None,
    sort: Annotated[
        str,
        typer.Option(help=f"By {ORDERS}.", autocompletion=completion.words(ORDERS)),
    ] = "quality",
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
    of_network: network_options.OfNetwork = None,
    topology: network_options.Topology = None,
    no_vpn: map_options.NoVpn = False,
    quality: map_options.Quality = None,
    as_json: reporting.AsJson = False,
) -> int:
    """List links: of the observed network, else of the emulated mesh, or of a map.

    Which are bad?  x0 links --kind wifi --limit 10

    Which are down at this node?  x0 links "Church tower" --state down
    """
    from dataclasses import asdict

    from actors.topology import listing
    from jobs.launch import listings
    from jobs.terminal import listing_tables

    report = reporting.Report(as_json)
    chosen = network_options.chosen(topology, quality, no_vpn=no_vpn)
    network = listings.of(chosen, report, network_options.running(of_network, chosen))
    end = None if node is None else network.nodes[network.naming().find(node)].id
    fitting = listing.chosen_links(network.links, node=end, kinds=kind or (), states=state or ())
    rows = listing.ordered_links(fitting, sort)[:limit]
    report.result(
        network_options.document(network, fitting=len(fitting), links=list(map(asdict, rows))),
        *listing_tables.links(rows),
        *listing_tables.about(network, len(rows), len(network.links), "links"),
    )
    return 0


if __name__ == "__main__":
    reporting.run(command)
