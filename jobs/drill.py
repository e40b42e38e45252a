"""`x0 drill`: break something on purpose, or by hand, and measure what happens."""

from __future__ import annotations

import asyncio
import contextlib
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from jobs.launch import interruption
from jobs.terminal import completion, exit_codes, map_options, reporting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import RenderableType

    from actors.mesh.contract import MeshStatus
    from actors.mesh.drill.drill_plan import DrillPlan, DrillScenario
    from actors.mesh.drill.report import DrillReport
    from actors.mesh.membership import Membership
    from actors.topology.model import Topology
    from actors.topology.naming import Naming
    from actors.twin.results import Comparison
    from jobs.launch.drill_root_cause import FoundCause
    from jobs.launch.session import Session
    from serve_apps.settings import Settings

_STATUS_S: Final = 15.0  # for an answer about the mesh; the coordinator itself waits for shards
SCENARIOS = "worst-node, random-node, link, partition, shard-kill, liar, equivocator, replay"
DEFAULT = "worst-node"


@reporting.reported
def command(
    scenario: Annotated[
        str,
        typer.Option(
            help=f"What to break: {SCENARIOS}.", autocompletion=completion.words(SCENARIOS)
        ),
    ] = DEFAULT,
    target: Annotated[
        str | None,
        typer.Option(
            help="Break this instead: a node (id, name or its beginning), the two ends A,B of a "
            "link, or a shard.",
            autocompletion=completion.nodes,
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            min=1,
            max=1e6,
            help="Messages per second over all pairs together. "
            "Default: what the mesh carries easily, at most 10000.",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Of the traffic, of every choice, and of emulated radio.")
    ] = 1,
    topology: Annotated[
        str | None,
        typer.Option(
            help="Path, URL or radio:N[:SEED]. This option and those below drill a private mesh, "
            "which ends with the drill; without them the running mesh is drilled, if there is one."
        ),
    ] = None,
    no_vpn: map_options.NoVpn = False,
    all_components: map_options.AllComponents = False,
    quality: map_options.Quality = None,
    shards: Annotated[int | None, typer.Option(help="Processes that host nodes.")] = None,
    hello: Annotated[float | None, typer.Option(help="Seconds between Hellos.")] = None,
    no_feedback: Annotated[
        bool,
        typer.Option("--no-feedback", help="Detect by missing Hellos alone, as other protocols."),
    ] = False,
    mend: Annotated[
        bool,
        typer.Option(
            "--mend",
            help="Break nothing: take back what a drill that was killed has left broken in the "
            "running mesh. Spoils one that is under way.",
        ),
    ] = False,
    expect: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NODE|A,B",
            help="Break nothing: say what the failure of this node, or link, would cause in the "
            "observed network, wait until it is observed, and compare. Repeatable.",
            autocompletion=completion.nodes,
        ),
    ] = None,
    real: Annotated[
        bool,
        typer.Option(
            "--real",
            help="Break --target in the laboratory of `x0 lab` that is observed, and mend it.",
        ),
    ] = False,
    within: Annotated[
        float | None,
        typer.Option(
            metavar="S",
            min=1,
            max=86_400,
            help="With --expect or --real: the longest wait. Default: 900, or 60 Hellos and 30 s.",
        ),
    ] = None,
    as_json: reporting.AsJson = False,
) -> int:
    """Break something silently under steady traffic, and measure how the mesh heals.

    Times are seconds after the fault; pairs are unordered pairs of surviving nodes. Loss is that of
    datagrams, which are tried four times over each hop and not repeated; the digital twin predicts
    it, and who is cut off. What was broken is mended afterwards.

    With --expect or --real it is about the network that `x0 watch` observes, whatever its source:
    the twin predicts, the observer tells when what was seen. Nothing is sent to its routers.

    x0 drill --expect roof-north --expect "mast,school" --within 1800

    Exit code: 0 when the mesh healed as promised and the twin was right, 3 when not, or when the
    network changed meanwhile; another one when the drill failed (see `x0 --help`).
    """
    from actors.runtime import log
    from actors.topology import naming
    from serve_apps.settings import Settings

    report = reporting.Report(as_json)
    chosen = _scenario(scenario)
    options = {
        "topology": topology,
        "vpn": False if no_vpn else None,
        "all_components": all_components or None,
        "quality": quality,
        "shards": shards,
        "hello_s": hello,
        "feedback": False if no_feedback else None,
    }
    settings = Settings.load(**options, seed=seed)
    log.configure("ERROR" if settings.log_level == "INFO" else settings.log_level)
    private = any(value is not None for value in options.values())
    names = tuple(naming.listed(target)) if target else ()
    emulated = private or rate is not None or scenario != DEFAULT
    other = _OtherDrill(mend, tuple(expect or ()), real, within)
    if other != _OtherDrill():
        return other.run(settings, names, report, emulated=emulated)
    with _mesh(settings, report, private=private) as session:
        done = interruption.run(_drill(session, chosen, names, rate, seed, report))
    result, comparison, cause, called = done.result, done.comparison, done.cause, done.names
    twin = None if comparison is None else comparison.as_dict()
    lacking = {"left_out": dict(done.state.left_out), "warnings": list(done.state.warnings)}
    report.result(
        result.as_dict()
        | {"names": called, "map": lacking, "twin": twin}
        | {"root_cause": None if cause is None else cause.as_dict()},
        *_readable(result, comparison, called, lacking, targeted=bool(names)),
        *([] if cause is None else [f"Root cause: {cause.in_words(done.topology.naming.label)}."]),
    )
    return exit_codes.NOT_WELL if result.shortcomings or wrong(comparison) else 0


def _scenario(name: str) -> DrillScenario:
    """The scenario of a name.

    Raises:
        InvalidInput: there is none.
    """
    from actors.mesh.drill.drill_plan import DrillScenario
    from actors.runtime.errors import InvalidInput

    try:
        return DrillScenario(name)
    except ValueError as error:
        raise InvalidInput(
            f"no scenario {name}", "a drill is one of a few", f"Choose from: {SCENARIOS}."
        ) from error


class _OtherDrill(NamedTuple):
    """The options of what is no drill of an emulated mesh."""

    mend: bool = False
    expect: tuple[str, ...] = ()
    real: bool = False
    within_s: float | None = None

    def run(
        self,
        settings: Settings,
        names: tuple[str, ...],
        report: reporting.Report,
        *,
        emulated: bool,
    ) -> int:
        """Do it.

        Args:
            settings: name the session.
            names: those of the target.
            report: is told the progress, and the result.
            emulated: whether an option of a drill of an emulated mesh is given.

        Raises:
            InvalidInput: the options are not about the same thing.
        """
        from actors.runtime.errors import InvalidInput

        one = [self.mend, bool(self.expect), self.real].count(True) == 1
        if emulated or not one or bool(names) != self.real or (self.mend and self.within_s):
            raise InvalidInput(
                "these options do not belong together",
                "a drill is of the emulated mesh, or --expect, or --real with --target; --mend is"
                " about all that is broken in the running mesh",
                "Give --mend alone, --within with one of --expect and --real, and these two without"
                " the others.",
            )
        if self.mend:
            return _mend(settings, report)
        from jobs.launch import watched_drill

        if self.real:
            return watched_drill.real(settings, names, self.within_s, report)
        return watched_drill.expect(settings, self.expect, self.within_s, report)


def _mend(settings: Settings, report: reporting.Report) -> int:
    """Take all injected faults of the running mesh back."""
    from jobs.launch import session

    running = session.running_mesh(settings)
    try:
        nodes, links, naming = interruption.run(_mended(running, report))
    finally:
        running.close()
    label = naming.label
    mended = [f"node {label(node)}" for node in nodes]
    mended += [f"link {label(a)}--{label(b)}" for a, b in links]
    concerned = sorted({*nodes, *(end for ends in links for end in ends)})
    names = {node: name for node in concerned if (name := naming.name_of(node))}
    report.result(
        {"mended": {"nodes": nodes, "links": links}, "names": names},
        *(f"mended {name}" for name in mended),
        *([] if mended else ["nothing was broken"]),
    )
    return 0


async def _mended(
    session: Session, report: reporting.Report
) -> tuple[list[str], list[tuple[str, str]], Naming]:
    """Mend, and wait until the neighbours hear each other; what was broken, and all names."""
    from actors.mesh import control
    from actors.mesh.client import Mesh
    from actors.mesh.membership import Faults

    membership = (await Mesh.attach()).membership
    ids, faults = membership.topology.ids, membership.faults
    if faults != Faults():
        await control.coordinator().inject(Faults())
        await session.wait_ready(report.progress)
    return (
        [ids[node] for node in sorted({*faults.silent, *(node for node, _ in faults.lies)})],
        [(ids[a], ids[b]) for a, b in sorted(faults.cut)],
        membership.topology.naming,
    )


@contextlib.contextmanager
def _mesh(settings: Settings, report: reporting.Report, *, private: bool) -> Iterator[Session]:
    """The running mesh, or one of the drill's own."""
    from actors.runtime.errors import NotRunning
    from actors.runtime.flags import Flags
    from jobs.launch import session

    running = None
    if not private:
        with contextlib.suppress(NotRunning):
            running = session.running_mesh(settings)
    if running is not None:
        try:
            yield running
        finally:
            running.close()
        return
    with session.ephemeral(settings, Flags.from_env(), progress=report.progress) as own:
        yield own


async def _drill(
    session: Session,
    scenario: DrillScenario,
    target: tuple[str, ...],
    rate: float | None,
    seed: int,
    report: reporting.Report,
) -> _Drilled:
    """Drill."""
    from actors.mesh import control
    from actors.mesh.client import Mesh
    from actors.mesh.drill.conductor import Conductor
    from actors.mesh.drill.drill_plan import plan
    from actors.mesh.live_source import LiveSource
    from jobs.launch.drill_in_history import DrillInHistory
    from jobs.launch.drill_root_cause import RootCauseWatch
    from serve_apps.inference.live_loop import LiveOptions
    from serve_apps.inference.looking import MeshLooks

    await session.wait_ready(report.progress)
    mesh = await Mesh.attach()
    state = await control.coordinator(timeout_s=_STATUS_S).status()
    chosen = plan(scenario, mesh.membership, seed, target)
    membership = mesh.membership
    told = DrillInHistory.of(chosen, membership.topology)
    live = LiveOptions.emulated(session.mesh.shard.host.hello_s)
    await told.began()
    try:
        async with RootCauseWatch(live, MeshLooks(LiveSource(), live.interval_s)) as watch:
            conductor = Conductor(mesh, chosen, rate, seed, report.progress, watch.settled)
            result = await conductor.run()
            failed = told.nodes
            broken = failed and chosen.liar < 0
            cause = await watch.found(failed, conductor.fault_at) if broken else None
    except BaseException:
        await told.broken_off()
        raise
    bad = result.shortcomings
    healed = "never" if result.healed_s is None else f"within {result.healed_s:.2f} s"
    said = f"it fell short: {'; '.join(bad)}" if bad else f"all routes were whole {healed}"
    await told.ended(said, well=not bad, healing=result.healing)
    comparison = None
    if not result.map_changes:  # it is about the map as it was before
        comparison = await asyncio.to_thread(compared_with_twin, membership, chosen, result)
    return _Drilled(result, comparison, state, cause, membership.topology)


class _Drilled(NamedTuple):
    """What a drill has brought.

    Attributes:
        result: what happened.
        comparison: what the twin says of it; None: nothing.
        state: the mesh before, which tells what was left out of its map.
        cause: the root cause that was found; None: nothing of the mesh itself was broken.
        topology: the mesh as it was before.
    """

    result: DrillReport
    comparison: Comparison | None
    state: MeshStatus
    cause: FoundCause | None
    topology: Topology

    @property
    def names(self) -> dict[str, str]:
        """The names, by id, of the nodes that failed or were found."""
        from actors.twin import named

        root = None if self.cause is None else self.cause.root
        found = [] if root is None else [each.node for each in root.nodes]
        return named.names_in([*self.result.failed, *found], self.topology)


def compared_with_twin(
    membership: Membership, plan: DrillPlan, result: DrillReport
) -> Comparison | None:
    """What the twin predicts of the fault, beside what happened; None if no radio failed."""
    import numpy as np

    from actors.twin.comparison import Observed, compare
    from actors.twin.conditions import Conditions
    from actors.twin.failure import Failure
    from actors.twin.impact import impact
    from actors.twin.intact import Intact

    if plan.liar >= 0 or not (plan.nodes or plan.links):
        return None
    conditions = Conditions(hello_s=result.hello_s, retries=result.retries, seed=result.seed)
    gone = np.flatnonzero(~membership.present)  # nodes that left keep their numbers
    failure = Failure.at([*plan.nodes, *gone.tolist()], plan.links)
    # In an emulation every quality is known, also where the map left it open.
    known = np.ones_like(membership.topology.measured)
    topology = replace(membership.topology, measured=known)
    predicted = impact(Intact(topology, conditions), failure)
    never = math.inf  # what was watched for and did not happen
    observed = Observed(
        pairs=result.pairs,
        all_pairs=result.all_pairs,
        unreachable_pairs=result.unreachable_pairs_reported,
        detected_s=never if result.detected_s is None else result.detected_s,
        healed_s=never if result.healed_s is None else result.healed_s,
        loss_before=result.loss_before,
        loss_after=result.loss_after,
    )
    return compare(predicted, observed)


def wrong(comparison: Comparison | None) -> list[str]:
    """The figures that the twin predicted wrongly."""
    figures = [] if comparison is None else comparison.figures
    return [figure.name for figure in figures if figure.agrees is False]


def _readable(
    result: DrillReport,
    comparison: Comparison | None,
    names: Mapping[str, str],
    lacking: Mapping[str, Any],
    *,
    targeted: bool,
) -> list[RenderableType | str]:
    from actors.twin.named import label_of
    from jobs.terminal import summary

    def seconds(value: float | None) -> str:
        return "never" if value is None else f"{value:.2f} s"

    failed = ", ".join(label_of(each, names) for each in result.failed[:3])
    if len(result.failed) > 3:
        failed += f" and {len(result.failed) - 3} more"
    return [
        reporting.pairs(
            f"Drill of {failed}" if targeted else f"Drill {result.scenario}: {failed}",
            {
                "mesh": f"{result.nodes} nodes, {result.links} links, {result.shards} shards,"
                f" Hello every {result.hello_s:g} s",
                "traffic": f"{result.sent} messages between {result.pairs} pairs,"
                f" {result.hops_mean:g} hops on average",
                **summary.lacking(lacking),
            },
        ),
        reporting.table(
            "",
            ("", "predicted", "happened"),
            [
                (
                    "first notice",
                    f"within {result.detection_bound_s:.2f} s",
                    seconds(result.detected_s),
                )
                if result.scenario not in ("liar", "replay")
                else ("first notice", "-", "-"),  # what is refused needs none
                (
                    "all routes whole again",
                    f"within {result.convergence_bound_s:.2f} s",
                    seconds(result.healed_s),
                ),
                (
                    "pairs cut off, and told so",
                    str(result.unreachable_pairs_truth),
                    str(result.unreachable_pairs_reported),
                ),
                ("connected pairs without a route", "0", str(result.blackholed_pairs_after_bound)),
                ("accepted messages lost", "0", str(result.lost_accepted)),
                ("delivered twice", "0", str(result.duplicates)),
                ("corrupted", "0", str(result.corrupt)),
                ("forwarding loops", "0", str(result.loops)),
                *(
                    [
                        (
                            "routes through the liar",
                            f"no more than {result.attracted_before:.1%}",
                            f"{result.attracted_after:.1%}",
                        )
                    ]
                    if result.attracted_before is not None and result.attracted_after is not None
                    else []
                ),
                *_losses(comparison),
            ],
        ),
        (
            f"{result.accepted} messages accepted: {result.delivered} delivered,"
            f" {result.returned} returned to their senders as unreachable."
        ),
        _verdict(result),
        *(f"The twin was wrong about {name}." for name in wrong(comparison)),
    ]


def _verdict(result: DrillReport) -> str:
    if not result.shortcomings:
        return "The mesh healed as promised."
    short = "; ".join(result.shortcomings)
    return f"No verdict: {short}." if result.map_changes else f"The mesh fell short: {short}."


def _losses(comparison: Comparison | None) -> list[tuple[str, str, str]]:
    """Rows of the table: loss of datagrams."""
    names = {"loss_before": "datagrams lost, before", "loss_after": "datagrams lost, since"}
    figures = [] if comparison is None else comparison.figures

    def share(value: float | None) -> str:
        return "-" if value is None else f"{value:.1%}"

    return [
        (names[figure.name], share(figure.predicted), share(figure.observed))
        for figure in figures
        if figure.name in names
    ]


if __name__ == "__main__":
    reporting.run(command)
