"""Stays with a session in the foreground, until Ctrl-C, `x0 down` or its end by a fault."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

from jobs.launch import interruption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from jobs.launch.session import Session
    from jobs.terminal.reporting import Report

_LOOK_S: Final = 1.0  # between two looks at a mesh
_OBSERVED_S: Final = 5.0  # at an observed network, of which everything is told at each look
_ANSWER_S: Final = 15.0  # for all actors; the coordinator itself waits 5 s for a shard
_DOWN_S: Final = 60.0  # for an `x0 down` that is under way


@contextlib.contextmanager
def ended_on_failure(launched: Session) -> Iterator[None]:
    """End a session if the block fails; its logs are kept then."""
    from jobs.launch import session

    try:
        yield
    except BaseException as error:
        keep = launched.settings.state_dir if session.is_failure(error) else None
        launched.end(keep_logs=keep)
        raise


def leave_or_stay(
    launched: Session, report: Report, announce: Callable[[], None], *, detach: bool
) -> None:
    """Announce a session, then leave it, or stay with it and end it.

    Raises:
        Unavailable: its cluster has ended by itself.
    """
    if detach:
        with contextlib.suppress(BrokenPipeError):  # who reads has enough, as `head -1` has
            announce()
        launched.close()
        return
    report.note(_stay(launched, report, announce))
    launched.end()


def _stay(launched: Session, report: Report, announce: Callable[[], None]) -> str:
    """Say that it is ready and watch it until it is over; why that is."""
    try:
        announce()  # from here on, a signal is how it is meant to end
        report.note("Ctrl-C ends it")
        interruption.run(_watch(launched, report))
    except interruption.Interrupted as interrupted:
        return f"{interrupted.signal.name}: ending"
    return "ended by `x0 down`"


async def _watch(launched: Session, report: Report) -> None:
    """Show the session until its record is gone.

    Raises:
        Unavailable: its cluster has ended by itself.
    """
    from rich.console import Group
    from rich.live import Live

    from actors.runtime.errors import Unavailable
    from jobs.terminal import summary

    wrong: list[str] = []
    with contextlib.ExitStack() as shown:
        live = None
        if report.live:
            live = shown.enter_context(Live(console=report.console, auto_refresh=False))
        while not await asyncio.to_thread(_ended, launched):
            try:
                async with asyncio.timeout(_ANSWER_S):
                    found = await launched.found()
                    if live is None:
                        wrong = _told(wrong, found.state, report)
                    else:
                        values = await asyncio.to_thread(summary.values, found)
                        live.update(Group(*summary.networks(values)), refresh=True)
            except TimeoutError:
                report.note(f"no status: no answer in {_ANSWER_S:g} s")
            except Unavailable as error:
                report.note(f"no status: {error}")
            await asyncio.sleep(_LOOK_S if launched.options else _OBSERVED_S)


def _told(before: list[str], state: Mapping[str, Any], report: Report) -> list[str]:
    """Say what is wrong, if it is something else than before; what is wrong now."""
    wrong = list(state["unwell"])
    if wrong != before:
        report.note("; ".join(wrong) or "all is well")
    return wrong


def _ended(launched: Session) -> bool:
    """Whether `x0 down` has ended this session.

    Raises:
        Unavailable: its cluster has ended, and nobody asked for it.
    """
    from actors.runtime.errors import Unavailable
    from actors.runtime.state_files import exclusive_lock
    from cluster.local import KEPT_LOGS
    from jobs.launch.record import LOCK, SessionRecord

    state_dir = launched.settings.state_dir
    if SessionRecord.load(state_dir) != launched.record:
        return True
    if launched.cluster is None or not (why := launched.cluster.dead()):
        return False
    with exclusive_lock(state_dir / LOCK, timeout_s=_DOWN_S):  # `x0 down` may be about it
        if SessionRecord.load(state_dir) != launched.record:
            return True
    again = "`x0 up`" if launched.options else "`x0 watch`"
    raise Unavailable(
        "the mesh has ended" if launched.options else "the observer has ended",
        why,
        f"Start it again with {again}; what was accepted or known is kept, and so are its logs, in"
        f" {state_dir / KEPT_LOGS}.",
        retry_after_s=5.0,
    )
