"""`x0 beacons`: how the nodes of the emulated mesh prove that they are themselves."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from jobs.terminal import exit_codes, reporting

FORGOTTEN: Final = (
    "the next key that each comes with holds: within a minute where another was refused"
)


@reporting.reported
def command(
    each: Annotated[
        bool, typer.Option("--nodes", help="A line for each node; --json always has them.")
    ] = False,
    forget: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Let the next key of this node or shard be enrolled. May be repeated.",
        ),
    ] = None,
    as_json: reporting.AsJson = False,
) -> int:
    """Show the signed beacons of the mesh's nodes, and what was refused and why.

    Nodes of one shard hear each other without a beacon, so a node that has no neighbour in another
    shard is heard by none.

    The first key of a node or shard holds. Where its seed is lost, --forget lets it begin anew.

    Exit code: 0 when all is well, or nothing has to prove itself; 3 when a shard does not answer or
    a node has no key.
    """
    from jobs.launch import beacon_questions
    from jobs.terminal import beacon_tables

    report = reporting.Report(as_json)
    if forget:
        gone = beacon_questions.forget(forget)
        report.result({"forgotten": gone}, f"forgotten: {', '.join(gone)}", FORGOTTEN)
        return exit_codes.OK
    answers = beacon_questions.asked()
    found = beacon_tables.document(answers.shards, answers.down)
    report.result(found, *beacon_tables.tables(found, each=each))
    return exit_codes.NOT_WELL if found["down"] or found["without_key"] else exit_codes.OK


if __name__ == "__main__":
    reporting.run(command)
