"""`x0 export`: the network for other people's tools."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.terminal import completion, map_options, network_options, reporting

if TYPE_CHECKING:
    from actors.runtime.errors import InvalidInput
    from actors.topology.model import Topology

FORMATS = "netjson, geojson, graphml"


@reporting.reported
def command(
    form: Annotated[
        str,
        typer.Option(
            "--format", help=f"One of {FORMATS}.", autocompletion=completion.words(FORMATS)
        ),
    ] = "netjson",
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it there; else to stdout.")
    ] = None,
    of_network: network_options.OfNetwork = None,
    topology: network_options.Topology = None,
    no_vpn: map_options.NoVpn = False,
    quality: map_options.Quality = None,
    as_json: reporting.AsJson = False,
) -> int:
    """Write the network as other tools read it: its nodes, and its links that are up.

    netjson is what NetJSON viewers and this program read; geojson, for maps, has what has a place;
    graphml is for networkx, Gephi, yEd and others. Names stand beside ids. What is not known is
    left out.
    """
    from jobs.launch import listings

    report = reporting.Report(as_json)
    _check(form, output, as_json=as_json)
    chosen = network_options.chosen(topology, quality, no_vpn=no_vpn)
    network = listings.of(chosen, report, network_options.running(of_network, chosen))
    graph = listings.topology_of(network)
    text = _written(graph, form)
    if form == "geojson" and (lost := sum(node.location is None for node in network.nodes)):
        report.note(f"{lost:,} of {len(network.nodes):,} nodes have no place: they are left out.")
    if output is None:
        report.document(text)
        return 0
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        why = error.strerror or str(error)
        raise _refused(f"--output {output}", why, "Give a file that can be written.") from error
    report.result(
        network_options.document(
            network, file=str(output), format=form, nodes=graph.n_nodes, links=graph.n_links
        ),
        f"{graph.n_nodes:,} nodes and {graph.n_links:,} links written to {output} as {form}.",
    )
    return 0


def _check(form: str, output: Path | None, *, as_json: bool) -> None:
    """Refuse what cannot be done before anything is read."""
    known = FORMATS.split(", ")
    if form not in known:
        raise _refused(f"--format {form[:40]}", "it is none", f"One of {FORMATS}.")
    if as_json and output is None:
        why = "the network and the result would both go to stdout"
        raise _refused("--json without --output", why, "Give --output FILE, or leave --json out.")


def _written(graph: Topology, form: str) -> str:
    from actors.topology import graph_export

    if form == "graphml":
        return graph_export.graphml(graph)
    made = graph_export.geojson(graph) if form == "geojson" else graph_export.netjson(graph)
    return json.dumps(made, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def _refused(what: str, why: str, remedy: str) -> InvalidInput:
    from actors.runtime.errors import InvalidInput

    return InvalidInput(f"cannot use {what}", why, remedy)


if __name__ == "__main__":
    reporting.run(command)
