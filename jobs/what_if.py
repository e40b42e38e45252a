"""`x0 what-if`: ask the digital twin what a failure would cost, before it happens."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from jobs.terminal import completion, map_options, network_options, reporting

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from actors.runtime.errors import InvalidInput
    from actors.topology.provenance import Network
    from actors.twin.scenario import Scenario

# Assumed of every node where --availability is asked without more, in h say.
MTBF: Final = 2000.0
MTTR: Final = 4.0
# Options that only say how, by what they say it of.
_ONLY_WITH: Final = {
    ("--mtbf", "--mttr"): "--availability",
    ("--max-km", "--anywhere"): "--advise",
}
DOUBLES: Final = 100  # pairs of each kind that --all-double asks for


@reporting.reported
def command(
    nodes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NODE]...",
            help="More nodes that fail, as after --fail.",
            autocompletion=completion.nodes,
        ),
    ] = None,
    fail: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NODE...",
            help="These nodes fail together: ids, names or their beginnings. May be repeated.",
            autocompletion=completion.nodes,
        ),
    ] = None,
    link: Annotated[
        list[str] | None,
        typer.Option(
            metavar="A,B...",
            help="And the link between A and B. May be repeated.",
            autocompletion=completion.nodes,
        ),
    ] = None,
    all_single: Annotated[
        bool, typer.Option("--all-single", help="Every single node and link, the costliest first.")
    ] = False,
    all_double: Annotated[
        bool,
        typer.Option(
            "--all-double",
            help="Every two nodes or links that must not fail together, the costliest first: what "
            "both cost beyond what each does alone.",
        ),
    ] = False,
    rank_by: Annotated[
        str | None,
        typer.Option(
            metavar="clients|nodes|pairs",
            help="What is costliest: clients or nodes that lose every gateway, or pairs lost. "
            "Without it, the first of these that is known.",
        ),
    ] = None,
    gateway: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NODE...",
            help="These nodes lead to the internet, instead of those of the map. May be repeated.",
            autocompletion=completion.nodes,
        ),
    ] = None,
    random: Annotated[
        int | None, typer.Option(metavar="K", min=1, help="K random nodes fail together.")
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=2,
            max=1_000_000,
            help="Draws of --random (default 1000) and --availability (default 100000).",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="S", min=0, max=2**63 - 1, help="Of the draws; 1.")
    ] = None,
    availability: Annotated[
        bool,
        typer.Option("--availability", help="How likely the mesh works at a random moment."),
    ] = False,
    mtbf: Annotated[
        float | None,
        typer.Option(
            metavar="T",
            help="For --availability: mean time that each node works between failures, in the "
            f"unit of --mttr. Assumed if not given: {MTBF:g}.",
        ),
    ] = None,
    mttr: Annotated[
        float | None,
        typer.Option(
            metavar="T",
            help=f"For --availability: mean time to repair. Assumed if not given: {MTTR:g}.",
        ),
    ] = None,
    advise: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            min=1,
            max=100,
            help="K links worth adding: against this failure, or else against any single one.",
        ),
    ] = None,
    max_km: Annotated[
        float | None,
        typer.Option(
            metavar="KM",
            help="Length of the longest link of --advise. Without it: 10 km, for radios.",
        ),
    ] = None,
    anywhere: Annotated[
        bool,
        typer.Option(
            "--anywhere",
            help="For --advise: also nodes without a known place, and nodes that only tunnels "
            "lead to.",
        ),
    ] = False,
    scenario: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Ask what this YAML file asks, instead of the options above: also worst pairs, "
            "groups that share a risk, cascades, traffic and capacities. A path of a topology in "
            "it starts at the file's directory.",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Draw the mesh and what is lost of it."),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(
            metavar="observed|emulated",
            help="Ask about this network of the running session. Without it: about the emulated "
            "mesh, or where nothing is emulated about the observed network.",
        ),
    ] = None,
    topology: Annotated[
        str | None,
        typer.Option(
            metavar="PATH|URL|radio:N[:SEED]",
            help="Ask about this map. Without this option and the two below: about the running "
            "session, or if there is none about X0TTA6BL4_TOPOLOGY.",
        ),
    ] = None,
    no_vpn: map_options.NoVpn = False,
    all_components: map_options.AllComponents = False,
    quality: map_options.Quality = None,
    as_json: reporting.AsJson = False,
) -> int:
    """Ask what a failure would cost, before it happens. Nothing is touched.

    May I take this router down tonight?  x0 what-if --fail n0042 --plot tonight.png

    Where are we weakest, and what helps?  x0 what-if --all-single --advise 3

    Which two must not fail together?  x0 what-if --all-double

    Who loses the internet?  x0 what-if --all-single --rank-by clients --gateway n0007

    What does bad luck cost?  x0 what-if --random 5 --samples 10000 --seed 7

    Pairs are unordered pairs of nodes that do not fail; lost is one that was connected before.
    """
    report = reporting.Report(as_json)
    asked = {
        "--fail": [*(fail or ()), *(nodes or ())],
        "--link": link,
        "--all-single": all_single,
        "--all-double": all_double,
        "--rank-by": rank_by,
        "--gateway": gateway,
        "--random": random,
        "--samples": samples,
        "--seed": seed,
        "--availability": availability,
        "--mtbf": mtbf,
        "--mttr": mttr,
        "--advise": advise,
        "--max-km": max_km,
        "--anywhere": anywhere,
    }
    # Zeros are given; what typer leaves out is one of these.
    given = {name: v for name, v in asked.items() if not (v is None or v is False or v == [])}
    question = _from_options(given) if scenario is None else _from_file(scenario, given)
    if topology is not None and question.topology is not None:
        raise _refused("--topology and --scenario", "the file names a topology too", "Give one.")
    options = {
        "topology": topology or question.topology,
        "vpn": False if no_vpn or not question.vpn else None,
        "all_components": True if all_components or question.all_components else None,
        "quality": quality,
    }
    _answer(question, options, network_options.running(network, options), plot, report)
    return 0


def _answer(
    question: Scenario,
    options: Mapping[str, Any],
    network: Network | None,
    plot: Path | None,
    report: reporting.Report,
) -> None:
    """Ask about the map of the options, or without any about the running one; tell and draw it."""
    from actors.runtime import log
    from jobs.launch import twin_questions
    from jobs.terminal import consequences
    from serve_apps.settings import Settings

    if plot is not None:
        _check_plot(plot)
    settings = Settings.load(**options)
    log.configure("ERROR" if settings.log_level == "INFO" else settings.log_level)
    a_map = any(value is not None for value in options.values())
    reply = twin_questions.ask(
        question, settings, report, live=not a_map, plot=plot is not None, network=network
    )
    picture = None
    if plot is not None and reply.picture is not None:
        _write(plot, reply.picture)
        picture = {"file": str(plot), "fails": list(reply.pictured)}
    report.result(
        {**reply.as_dict(), "picture": picture},
        *consequences.readable(question, reply),
        *([] if picture is None else [f"Drawn in {plot}."]),
    )


def _from_options(given: Mapping[str, Any]) -> Scenario:
    """The scenario that the options are.

    Raises:
        InvalidInput: they ask nothing, or contradict each other.
    """
    from actors.twin import scenario

    _check_given(given)
    asked: dict[str, Any] = {"seed": given.get("--seed", 1)}
    if "--fail" in given or "--link" in given:
        asked["fail"] = {
            "nodes": _words(given.get("--fail", ())),
            "links": [_ends(text) for text in given.get("--link", ())],
        }
    draws = {"samples": given["--samples"]} if "--samples" in given else {}
    if "--gateway" in given:
        asked["gateways"] = _words(given["--gateway"])
    asked["singles"] = "--all-single" in given
    if "--all-double" in given:
        asked["doubles"] = DOUBLES
    asked["rank_by"] = given.get("--rank-by")
    if "--random" in given:
        asked["random"] = {"k": given["--random"], **draws}
    if "--availability" in given:
        times = {"mtbf": given.get("--mtbf", MTBF), "mttr": given.get("--mttr", MTTR)}
        asked["availability"] = {"node": times, **draws}
    if "--advise" in given:
        asked["advice"] = {
            "links": given["--advise"],
            "for_failure": "fail" in asked,
            "max_km": given.get("--max-km"),
            "anywhere": "--anywhere" in given,
        }
    return scenario.of(asked, "of these options")


def _check_given(given: Mapping[str, Any]) -> None:
    """Refuse options that ask nothing, or say how of what is not asked."""
    from actors.runtime.errors import InvalidInput

    asking = {"--fail", "--link", "--all-single", "--all-double", "--random", "--availability"}
    asking.add("--advise")
    if not given.keys() & asking:
        raise InvalidInput(
            "nothing is asked",
            f"{', '.join(given)} only say how" if given else "no option says what",
            "Give --fail, --link, --all-single, --all-double, --random, --availability, --advise or"
            " --scenario; see --help.",
        )
    if "--samples" in given and not given.keys() & {"--random", "--availability"}:
        raise _refused("--samples", "nothing is drawn", "Give --random or --availability too.")
    _check_rank(given)
    for names, of in _ONLY_WITH.items():
        for name in names:
            if name in given and of not in given:
                raise _refused(name, f"it is for {of}", f"Give {of} too.")


def _check_rank(given: Mapping[str, Any]) -> None:
    """Refuse a ranking of nothing, or by nothing that there is."""
    from actors.twin.limits import RANKS

    if "--rank-by" in given:
        if given["--rank-by"] not in RANKS:
            raise _refused(
                f"--rank-by {given['--rank-by'][:40]}", "it is none", f"One of {', '.join(RANKS)}."
            )
        if not given.keys() & {"--all-single", "--all-double"}:
            raise _refused("--rank-by", "nothing is ranked", "Give --all-single or --all-double.")


def _words(texts: Iterable[str]) -> list[str]:
    """Names separated by commas."""
    from actors.topology import naming

    return [name for text in texts for name in naming.listed(text)]


def _ends(text: str) -> tuple[str, ...]:
    from actors.topology import naming

    ends = tuple(naming.listed(text))
    if len(ends) != 2:
        raise _refused(f"--link {text[:80]}", "a link has two ends", "Write --link A,B.")
    return ends


def _from_file(path: Path, given: Mapping[str, Any]) -> Scenario:
    """The scenario of a file, with a path of a topology made to start where the file is.

    Raises:
        InvalidInput: the file cannot be read or is no scenario, or there are options beside it.
    """
    from actors.topology import fetch, radio_spec
    from actors.twin import scenario

    if given:
        raise _refused(
            f"--scenario and {', '.join(given)}",
            "the file says what is asked",
            "Give one of them; what the options ask can stand in the file.",
        )
    try:
        with path.open("rb") as file:
            text = file.read(scenario.MAX_BYTES + 1)
    except OSError as error:
        raise _refused(
            f"--scenario {path}", error.strerror or str(error), "Give a YAML file that exists."
        ) from error
    found = scenario.parse(text, str(path))
    where = found.topology
    if where is None or fetch.is_url(where) or where.startswith(radio_spec.PREFIX):
        return found
    return found.model_copy(update={"topology": str(path.parent / Path(where).expanduser())})


def _check_plot(path: Path) -> None:
    """Refuse what cannot be written before anything is computed."""
    if path.suffix.lower() != ".png":
        raise _refused(f"--plot {path}", "it is drawn as PNG", "Give a file that ends in .png.")
    folder = path.parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        what = f"{path} is a directory" if path.is_dir() else f"{folder} cannot be written to"
        raise _refused(f"--plot {path}", what, "Give a file in a directory of yours.")


def _write(path: Path, picture: bytes) -> None:
    try:
        path.write_bytes(picture)
    except OSError as error:
        raise _refused(
            f"--plot {path}", error.strerror or str(error), "Give a file that can be written."
        ) from error


def _refused(what: str, why: str, remedy: str) -> InvalidInput:
    from actors.runtime.errors import InvalidInput

    return InvalidInput(f"cannot use {what}", why, remedy)


if __name__ == "__main__":
    reporting.run(command)
