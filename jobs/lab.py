"""`x0 lab`: a real network of namespaces on this machine, to try out watching and failing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from jobs.terminal import exit_codes, reporting

if TYPE_CHECKING:
    from pathlib import Path

    from actors.topology.model import Topology
    from cluster.lab.laboratory import Laboratory

app = typer.Typer(
    help="A real network on this machine: a namespace and a babeld for each node. Needs root.",
    no_args_is_help=True,
    context_settings=dict(reporting.HELP),
)
_HELLOS: Final = 16  # that babeld judges a link by

Node = Annotated[str, typer.Argument(metavar="NODE", help="Id of a node, see `x0 lab status`.")]


@app.command("up")
@reporting.reported
def up(
    nodes: Annotated[int, typer.Option(min=2, max=200, help="Made-up radio nodes.")] = 25,
    topology: Annotated[
        str | None, typer.Option(metavar="PATH|URL", help="The nodes and links of a map instead.")
    ] = None,
    hello: Annotated[
        float, typer.Option(metavar="S", min=0.1, max=60, help="Seconds between Hellos of babeld.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the made-up network.")] = 1,
    as_json: reporting.AsJson = False,
) -> int:
    """Make the network and leave it running; `x0 lab down` removes it.

    Interfaces are of babeld's type wireless. A link loses nothing until `x0 lab loss` says so.
    """
    from actors.topology import source
    from cluster.lab.laboratory import Laboratory

    report = reporting.Report(as_json)
    chosen = topology or f"radio:{nodes}:{seed}"
    report.progress(f"reading {chosen}")
    found: Topology = source.read(chosen, vpn=True, all_components=True).topology
    report.progress(f"making {found.n_nodes} namespaces and {found.n_links} links")
    _tell(Laboratory.up(_state_dir(), found, hello), report)
    return 0


@app.command("status")
@reporting.reported
def status(as_json: reporting.AsJson = False) -> int:
    """Show the nodes, what was broken, and how the network is read.

    Exit code: 0 when each babeld lives but those that were failed, 3 when not, 1 without a network.
    """
    lab = _load()
    missing = _tell(lab, reporting.Report(as_json))
    return exit_codes.NOT_WELL if missing else 0


@app.command("down")
@reporting.reported
def down(as_json: reporting.AsJson = False) -> int:
    """Remove the network, whatever was killed on the way. Without one: nothing happens."""
    from actors.runtime.errors import NotRunning

    report = reporting.Report(as_json)
    try:
        lab = _load()
    except NotRunning:
        report.result({"removed": None}, "there was no laboratory")
        return 0
    lab.down()
    report.result({"removed": lab.token}, f"removed {len(lab.nodes)} nodes")
    return 0


@app.command("fail")
@reporting.reported
def fail(node: Node, as_json: reporting.AsJson = False) -> int:
    """Have a node die silently: its interfaces keep their carrier, and nothing is retracted."""
    _, at = _load().fail(node)
    reporting.Report(as_json).result({"failed": node, "at": at}, f"{node} is silent")
    return 0


@app.command("mend")
@reporting.reported
def mend(node: Node, as_json: reporting.AsJson = False) -> int:
    """Have a node that died come back, with a babeld that knows nothing."""
    _, at = _load().mend(node)
    reporting.Report(as_json).result({"mended": node, "at": at}, f"{node} speaks again")
    return 0


@app.command("loss")
@reporting.reported
def loss(
    a: Annotated[str, typer.Argument(metavar="A", help="One end of the link.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The other end.")],
    percent: Annotated[
        int, typer.Argument(metavar="PERCENT", min=0, max=100, help="100 cuts it, 0 mends it.")
    ],
    one_way: Annotated[
        bool, typer.Option("--one-way", help="Only of what A sends to B; B is heard as ever.")
    ] = False,
    as_json: reporting.AsJson = False,
) -> int:
    """Have a link lose this share of its frames, in both directions or in one."""
    _, at = _load().lose(a, b, percent, one_way=one_way)
    where = f"on the way from {a} to {b}" if one_way else "in both directions"
    reporting.Report(as_json).result(
        {"a": a, "b": b, "loss": percent / 100, "one_way": one_way, "at": at},
        f"{a},{b} loses {percent} % of its frames {where}",
    )
    return 0


def _state_dir() -> Path:
    from jobs.launch import found

    return found.state_dir()


def _load() -> Laboratory:
    from cluster.lab import kernel
    from cluster.lab.laboratory import Laboratory

    lab = Laboratory.load(_state_dir())
    kernel.require(())
    return lab


def _losses(lab: Laboratory) -> dict[str, float]:
    """Lost shares by link `A,B`, or by direction `A>B`, of ids."""
    found = {}
    for key, percent in lab.lossy.items():
        mark = ">" if ">" in key else ","
        found[mark.join(lab.nodes[int(end)] for end in key.split(mark))] = percent / 100
    return found


def _tell(lab: Laboratory, report: reporting.Report) -> list[str]:
    """Show a laboratory; the nodes whose babeld should live and does not."""
    living = lab.daemons()
    failed = [lab.nodes[row] for row in lab.failed]
    missing = [
        name for row, name in enumerate(lab.nodes) if row not in living and name not in failed
    ]
    losses = _losses(lab)
    values = {
        "nodes": list(lab.nodes),
        "links": [[lab.nodes[a], lab.nodes[b]] for a, b in lab.links],
        "hello_s": lab.hello_s,
        "failed": failed,
        "missing": missing,
        "loss": losses,
        "gateways": [lab.nodes[row] for row in lab.gateways],
        "namespaces": [lab.namespace(row) for row in range(len(lab.nodes))],
        "source": lab.source,
        "logs": str(lab.directory),
    }
    shown = {
        "nodes, links": f"{len(lab.nodes)}, {len(lab.links)}",
        "Hello": f"every {lab.hello_s:g} s; links have settled after {_HELLOS} of them",
        "failed": ", ".join(failed) or "none",
        "losses": ", ".join(f"{link} {share:.0%}" for link, share in losses.items()) or "none",
        "gateways": ", ".join(lab.nodes[row] for row in lab.gateways) or "none",
        "namespaces": f"{lab.namespace(0)} to {lab.namespace(len(lab.nodes) - 1)}",
        "logs": str(lab.directory),
        "watch it": 'x0 watch "$(x0 lab status --json | jq -r .source)"',
        "stop": "x0 lab down",
    }
    report.result(
        values,
        reporting.pairs("Laboratory", shown),
        *(f"NOT WELL: babeld of {name} has ended" for name in missing),
    )
    return missing


if __name__ == "__main__":
    app()
