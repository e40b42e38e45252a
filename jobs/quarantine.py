"""`x0 quarantine`: nodes of the emulated mesh that were found lying."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.terminal import completion, exit_codes, reporting

app = typer.Typer(
    no_args_is_help=True,
    help="Nodes of the emulated mesh that were found lying (flag BYZANTINE).",
    context_settings=dict(reporting.HELP),
)


@app.command("list")
@reporting.reported
def listed(
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="NODE",
            help="Count the disjoint paths from this node to each other: where there are no more "
            "than there may be liars, these can keep messages back.",
            autocompletion=completion.node,
        ),
    ] = None,
    as_json: reporting.AsJson = False,
) -> int:
    """Show the nodes in quarantine: none of their links counts.

    A node that told two stories is proven to lie, and stays until `x0 quarantine clear`. A node
    that more of its neighbours suspect than there may be liars stays while they say so.

    Exit code: 0 when nobody is in quarantine, 3 when somebody is or a shard does not answer.
    """
    from jobs.launch import quarantine_questions
    from jobs.terminal import quarantine_tables

    report = reporting.Report(as_json)
    found = quarantine_tables.document(quarantine_questions.asked(source))
    report.result(found, *quarantine_tables.tables(found))
    unwell = found["proven"] or found["suspected"] or found["without_key"] or found["down"]
    return exit_codes.NOT_WELL if unwell else exit_codes.OK


@app.command("clear")
@reporting.reported
def clear(
    nodes: Annotated[
        list[str],
        typer.Argument(
            metavar="NODE...", help="Id, name or its beginning.", autocompletion=completion.nodes
        ),
    ],
    as_json: reporting.AsJson = False,
) -> int:
    """Give nodes that were proven to lie another key, so that they are believed again.

    What they signed with the last key counts no more.

    Exit code: 0 when all of them have one, 3 when one was not proven to lie.
    """
    from jobs.launch import quarantine_questions
    from jobs.terminal import quarantine_tables

    report = reporting.Report(as_json)
    done = quarantine_questions.clear(nodes)
    report.result(
        {"cleared": list(done.cleared), "not_proven": list(done.not_proven)},
        *quarantine_tables.cleared(done),
    )
    return exit_codes.NOT_WELL if done.not_proven else exit_codes.OK


if __name__ == "__main__":
    reporting.run(app)
