"""`x0 drill --expect` and `--real`: drills on the network that the running session observes.

Nothing is sent to a router by either. With `--expect` somebody else pulls the plug; with `--real`
the laboratory on this machine breaks, and mends, what it is told to.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from actors.observe import condition
from actors.observe.contract import OBSERVER, TIMEOUT_S, ObserverContract
from actors.observe.sources import babel_sockets
from actors.observe.sources.babeld import BabelSource
from actors.runtime import remote
from actors.runtime.errors import Conflict, Unavailable
from actors.topology import naming
from actors.topology.provenance import Network
from jobs.launch import interruption, session
from jobs.launch.drill_in_history import DrillInHistory
from jobs.launch.drill_root_cause import RootCauseWatch
from jobs.launch.observed_drill import (
    SENTENCES,
    Before,
    Expectation,
    Follower,
    Judgement,
    Turn,
    Verdict,
)
from jobs.terminal import exit_codes, reporting
from serve_apps.inference.live_loop import LiveOptions
from serve_apps.inference.looking import ObservedLooks

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from rich.console import RenderableType

    from actors.topology.events import NetworkEvent
    from cluster.lab.laboratory import Laboratory
    from jobs.launch.drill_root_cause import FoundCause
    from jobs.launch.record import SessionRecord
    from serve_apps.settings import Settings

    Told = tuple[dict[str, Any], list[RenderableType | str]]  # as JSON, and for people

LOOK_S: Final = 0.2  # time between two questions to the observer
EXPECT_S: Final = 900.0  # default of the time in which a fault must be observed
REAL_HELLOS: Final = 60  # the same in a laboratory, in Hello intervals,
REAL_S: Final = 30.0  # and beyond them, s
SETTLED: Final = 0.95  # quality of a link that has lost nothing lately
NAMED: Final = 5  # most nodes that a line names


def expect(
    settings: Settings, wanted: Sequence[str], within_s: float | None, report: reporting.Report
) -> int:
    """Say what a fault would cause, wait until it is observed, and compare.

    Args:
        settings: name the session.
        wanted: a node, or the two ends `A,B` of a link, each.
        within_s: the longest wait, s; None: the default.
        report: is told the progress, and the result.

    Raises:
        NotRunning: no session runs.
        Conflict: it observes no network, or what is to fail has failed already.
        UnknownNode: a name is of no member.
    """
    within = within_s or EXPECT_S

    return _drill(
        settings,
        lambda record: _expected(wanted, within, LiveOptions.observed(record.poll_s), report),
        report,
    )


def real(
    settings: Settings, target: Sequence[str], within_s: float | None, report: reporting.Report
) -> int:
    """Break something in the laboratory that the session watches, mend it, and compare.

    Args:
        settings: name the session, and where the laboratory is on record.
        target: a node, or the two ends of a link.
        within_s: the longest wait for each turn, s; None: the default.
        report: is told the progress, and the result.

    Raises:
        NotRunning: no session runs, or there is no laboratory.
        Conflict: the session does not watch it.
        Unavailable: not all of it is up.
    """
    from cluster.lab import kernel
    from cluster.lab.laboratory import Laboratory

    lab = Laboratory.load(settings.state_dir)
    kernel.require(())
    within = within_s or REAL_S + REAL_HELLOS * lab.hello_s
    return _drill(settings, lambda _: _broken(lab, target, within, report), report)


def _drill(
    settings: Settings,
    work: Callable[
        [SessionRecord], Coroutine[Any, Any, tuple[dict[str, Any], list[RenderableType | str]]]
    ],
    report: reporting.Report,
) -> int:
    report.progress("looking for a session that observes a network")
    joined = session.running(settings)
    try:
        if not joined.record.observed:
            raise Conflict(
                "no network is observed",
                "the running session only emulates a mesh",
                "`x0 watch SOURCE...` and `x0 up --from-observed` observe one.",
            )
        values, shown = interruption.run(work(joined.record))
    finally:
        joined.close()
    report.result(values, *shown)
    return exit_codes.OK if values["verdict"] == Verdict.AS_PREDICTED else exit_codes.NOT_WELL


def _observer() -> ObserverContract:
    return remote.proxy(ObserverContract, OBSERVER, timeout_s=TIMEOUT_S)


async def _expected(
    wanted: Sequence[str], within_s: float, live: LiveOptions, report: reporting.Report
) -> Told:
    observer = _observer()
    follower = Follower(observer, LOOK_S)
    before = await follower.before()
    fault = before.fault([naming.listed(each) for each in wanted])
    report.progress("asking the twin")
    expectation = await asyncio.to_thread(Expectation.of, before, fault)
    troubles = condition.troubles(None, await observer.sources())
    for trouble in troubles:
        report.note(f"NOT WELL: {trouble}")
    target = _target(expectation)
    if not report.as_json:
        report.settle()
        report.console.print(reporting.pairs(f"Drill of {target}", _predicted(expectation)))
    report.note(f"Now have {target} fail. Ctrl-C ends the wait; nothing has to be mended then.")
    told = DrillInHistory(
        f"drill expected of {target}", "expect", _concerned(expectation), Network.OBSERVED
    )
    await told.began()
    try:
        async with RootCauseWatch(live, ObservedLooks()) as watch:
            turn = await follower.follow(
                before.event, expectation.is_met, within_s, tell=_teller(report, within_s)
            )
            cause = await _cause(watch, expectation, turn, report)
    except BaseException:
        await told.broken_off()
        raise
    judgement = expectation.judge(turn)
    well = judgement.verdict is Verdict.AS_PREDICTED
    await told.ended(SENTENCES[judgement.verdict], well=well)
    values = _values(expectation, target) | {
        "within_s": within_s,
        "troubles": list(troubles),
        "fault": turn.as_dict() | judgement.as_dict(),
        "root_cause": None if cause is None else cause.as_dict(),
        "verdict": str(judgement.verdict),
    }
    return values, [
        *_turn("What was observed", turn, judgement),
        *_in_words(cause, before),
        SENTENCES[judgement.verdict],
    ]


async def _cause(
    watch: RootCauseWatch, expectation: Expectation, turn: Turn, report: reporting.Report
) -> FoundCause | None:
    """The root cause that is found of a fault; None: nothing has been seen of one."""
    if turn.since is None:
        return None
    report.progress("waiting for the root cause that is found")
    return await watch.found_since(_concerned(expectation), turn.since)


def _in_words(cause: FoundCause | None, before: Before) -> list[str]:
    return [] if cause is None else [f"Root cause: {cause.in_words(before.label)}."]


async def _broken(
    lab: Laboratory, target: Sequence[str], within_s: float, report: reporting.Report
) -> Told:
    observer = _observer()
    await _check_watched(lab, observer)
    follower = Follower(observer, LOOK_S)
    report.progress("waiting until all nodes and links are up")
    before = await _settled(lab, observer, within_s)
    fault = before.fault([target])
    expectation = await asyncio.to_thread(Expectation.of, before, fault)
    called = _target(expectation)
    told = DrillInHistory(
        f"drill in the laboratory of {called}", "real", _concerned(expectation), Network.OBSERVED
    )

    def do(percent: int, node: Callable[[str], tuple[Laboratory, float]]) -> float:
        at = [node(each)[1] for each in fault.nodes]
        at += [lab.lose(a, b, percent)[1] for a, b in fault.links]
        return at[0]

    tell = _teller(report, within_s)
    await told.began()
    broken = True
    try:
        async with RootCauseWatch(LiveOptions.laboratory(lab.hello_s), ObservedLooks()) as watch:
            report.progress("learning what is usual")
            await watch.settled()
            report.progress(f"breaking {called}")
            at = await asyncio.to_thread(do, 100, lab.fail)
            turn = await follower.follow(
                before.event, expectation.is_met, within_s, since=at, tell=tell
            )
            cause = await _cause(watch, expectation, turn, report)
        report.progress(f"mending {called}")
        last = turn.timeline[-1].number if turn.timeline else before.event
        broken = False
        at = await asyncio.to_thread(do, 0, lab.mend)
        back = await follower.follow(last, expectation.is_over, within_s, since=at, tell=tell)
    except BaseException:
        await told.broken_off()
        raise
    finally:
        if broken:
            report.progress(f"mending {called}")
            await asyncio.to_thread(do, 0, lab.mend)
    judged = expectation.judge(turn), expectation.judge(back, back=True)
    verdict = next(
        (each.verdict for each in judged if each.verdict is not Verdict.AS_PREDICTED),
        Verdict.AS_PREDICTED,
    )
    await told.ended(SENTENCES[verdict], well=verdict is Verdict.AS_PREDICTED)
    values = _values(expectation, called) | {
        "hello_s": lab.hello_s,
        "within_s": within_s,
        "fault": turn.as_dict() | judged[0].as_dict(),
        "return": back.as_dict() | judged[1].as_dict(),
        "root_cause": None if cause is None else cause.as_dict(),
        "verdict": str(verdict),
    }
    times = {
        "first seen": _seconds(turn.seen_s),
        "as predicted": _seconds(turn.agreed_s),
        "back, first seen": _seconds(back.seen_s),
        "back, all as before": _seconds(back.agreed_s),
    }
    return values, [
        reporting.pairs(f"Drill of {called}", _predicted(expectation) | times),
        *_turn("Fault", turn, judged[0]),
        *_in_words(cause, before),
        *_turn("Return", back, judged[1]),
        SENTENCES[verdict],
    ]


async def _check_watched(lab: Laboratory, observer: ObserverContract) -> None:
    """See that the session watches this laboratory.

    Raises:
        Conflict: it does not.
    """
    name = BabelSource(babel_sockets.parse(lab.source.partition(":")[2])).name
    members = {node.id for node in (await observer.network()).nodes}
    watched = any(source.name == name for source in await observer.sources())
    if not watched or not members.issuperset(lab.nodes):
        raise Conflict(
            "the session does not watch the laboratory",
            f"{name} is none of its sources",
            '`x0 down`, then `x0 watch "$(x0 lab status --json | jq -r .source)"`.',
        )


async def _settled(lab: Laboratory, observer: ObserverContract, timeout_s: float) -> Before:
    """Wait until all nodes and links of a laboratory are up, and lose nothing.

    Raises:
        Unavailable: they are not in time.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        network = await observer.network()
        poor = [
            link
            for link in network.links
            if link.state != "up" or min(each or 0.0 for each in link.quality) < SETTLED
        ]
        before = Before(network)
        if not poor and set(lab.nodes) <= {*before.topology.ids}:
            return before
        if time.monotonic() > deadline:
            raise Unavailable(
                "the network is not whole",
                f"after {timeout_s:g} s {before.topology.n_nodes} of {len(lab.nodes)} nodes are"
                f" heard, and {len(poor)} links are down or poor",
                "Mend it first; see `x0 lab status` and `x0 links`.",
                retry_after_s=timeout_s,
            )
        await asyncio.sleep(LOOK_S)


# -- words ---------------------------------------------------------------------------------------


def _teller(
    report: reporting.Report, within_s: float
) -> Callable[[Sequence[NetworkEvent], float], None]:
    def tell(timeline: Sequence[NetworkEvent], waited_s: float) -> None:
        seen = timeline[-1].what if timeline else "nothing has changed yet"
        report.progress(f"{waited_s:.0f} s of at most {within_s:.0f}: {seen}")

    return tell


def _target(expectation: Expectation) -> str:
    before, fault = expectation.before, expectation.fault
    called = [*map(before.label, fault.nodes), *map(before.link_label, fault.links)]
    return _some(called)


def _concerned(expectation: Expectation) -> tuple[str, ...]:
    fault = expectation.fault
    return tuple(dict.fromkeys([*fault.nodes, *(end for link in fault.links for end in link)]))


def _predicted(expectation: Expectation) -> dict[str, object]:
    predicted, label = expectation.predicted, expectation.before.label
    said: dict[str, object] = {
        "will be silent": _some([label(node) for node in expectation.fault.nodes]) or "nobody",
        "will be cut off": _some([label(node) for node in predicted.cut_off]) or "nobody",
        "pairs lost": f"{predicted.pairs_lost:,}",
    }
    if predicted.without_gateway is not None:
        clients = "unknown" if predicted.clients is None else f"{predicted.clients:,}"
        said["lose every gateway"] = f"{predicted.without_gateway:,} nodes, {clients} clients"
    return said


def _values(expectation: Expectation, target: str) -> dict[str, Any]:
    predicted = expectation.predicted
    named = {*_concerned(expectation), *predicted.standing.silent, *predicted.cut_off}
    return {
        "network": str(Network.OBSERVED),
        "target": target,
        "nodes": list(expectation.fault.nodes),
        "links": [list(link) for link in expectation.fault.links],
        "names": expectation.before.names(named),
        "predicted": predicted.as_dict(),
    }


def _turn(title: str, turn: Turn, judgement: Judgement) -> list[RenderableType | str]:
    rows = [
        (
            time.strftime("%H:%M:%S", time.localtime(each.at)),
            _seconds(turn.after_s(each)),
            each.what,
        )
        for each in turn.timeline
    ]
    return [
        reporting.table(title, ("time", "after", "event"), rows) if rows else f"{title}: nothing",
        *(f"Not as predicted: {each}." for each in judgement.differences),
        *(f"Changed besides: {each}." for each in judgement.changes),
    ]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.2f} s"
