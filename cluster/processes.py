"""Which processes belong to one Ray cluster, and how they are ended.

Ray's daemons carry the cluster's temporary directory on their command line, except those that
rename themselves (agents, workers: `ray::...`). These are descendants of the others or, once their
parent has died, still in the session (setsid(2)) that the cluster was started in; a session id is
not reused while one member lives. Nothing is ever chosen by name alone.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Final

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_POLL_S: Final = 0.05


def members(temp_dir: Path, session: int | None = None) -> list[psutil.Process]:
    """The living processes of the cluster in `temp_dir`, without this one and its ancestors.

    Args:
        temp_dir: absolute; made for one cluster only, so its name identifies it.
        session: id of the session that the cluster was started in, if known.
    """
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    everyone = [p for p in psutil.process_iter() if p.pid not in own and _alive(p)]
    found = {p for p in everyone if _carries(p, temp_dir)}
    if session is not None and _is_ours(session, found, temp_dir):
        found.update(p for p in everyone if _session(p) == session)
    for process in list(found):
        found.update(c for c in _descendants(process) if c.pid not in own and _alive(c))
    return sorted(found, key=lambda process: process.pid)


def names(found: Iterable[psutil.Process]) -> set[str]:
    """The names of those of these processes that still exist."""
    known = set()
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            known.add(process.name())
    return known


def end(temp_dir: Path, session: int | None, *, grace_s: float, timeout_s: float) -> list[int]:
    """End all members: SIGTERM, `grace_s` seconds, SIGKILL until none is left.

    Returns:
        Ids of the processes that are still there after `timeout_s` seconds: normally none.
    """
    deadline = time.monotonic() + timeout_s
    # Gathered once before the first signal: a job's driver has a session of its own and can be
    # found only while its parents live.
    known = set(members(temp_dir, session))
    _signal(known, kill=False)
    gentle_until = time.monotonic() + grace_s
    while any(map(_alive, known)) and time.monotonic() < gentle_until:
        time.sleep(_POLL_S)
    while left := {p for p in known | set(members(temp_dir, session)) if _alive(p)}:
        if time.monotonic() > deadline:
            return sorted(p.pid for p in left)
        _signal(left, kill=True)
        known |= left
        time.sleep(_POLL_S)
    return []


def _signal(processes: Iterable[psutil.Process], *, kill: bool) -> None:
    for process in processes:
        try:
            # psutil compares creation times first, so a reused id is not hit.
            process.kill() if kill else process.terminate()
        except psutil.NoSuchProcess:
            continue


def _alive(process: psutil.Process) -> bool:
    try:
        # In a container without an init, the dead stay as zombies for ever.
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _carries(process: psutil.Process, temp_dir: Path) -> bool:
    text = str(temp_dir)
    try:
        arguments = process.cmdline()
    except psutil.Error:
        return False
    # Bounded on the right: /tmp/x0-ab is not /tmp/x0-abc.
    return any(
        text == argument or text + "/" in argument or argument.endswith("=" + text)
        for argument in arguments
    )


def _session(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except OSError:
        return None


def _is_ours(session: int, found: set[psutil.Process], temp_dir: Path) -> bool:
    if session == os.getsid(0):
        return False
    if any(_session(process) == session for process in found):
        return True
    # No daemon is left. The session's leader was the `ray` command, long gone; a living process
    # of that number, or orphans that are not Ray's, mean that the number was given out again.
    try:
        leader = psutil.Process(session)
    except psutil.NoSuchProcess:
        leader = None
    if leader is not None and _alive(leader):
        return _carries(leader, temp_dir)
    rest = [p for p in psutil.process_iter() if _session(p) == session and _alive(p)]
    return bool(rest) and all(_is_ray(process) for process in rest)


def _is_ray(process: psutil.Process) -> bool:
    try:
        return any("ray" in argument for argument in process.cmdline())
    except psutil.Error:
        return False


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []
