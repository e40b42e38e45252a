"""Load generators that are programs of their own: run one, and take the figures that it prints."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, TypeVar

from actors.runtime.errors import Unavailable
from loadtests.http_connection import TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from loadtests.http_connection import Server

Figures = TypeVar("Figures")


def run(
    command: Sequence[str],
    server: Server,
    timeout_s: float,
    parse: Callable[[str], Figures],
    codes: Collection[int] = (0,),
) -> Figures:
    """What a program found out about a server, whose token it gets by its environment.

    Args:
        command: program and arguments.
        server: that it asks.
        timeout_s: for all of it.
        parse: reads what it printed; ValueError if there are no figures in it.
        codes: that it ends with when there are figures.

    Raises:
        Unavailable: it did not work.
    """
    said = ""
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and our own arguments
            command,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env={**os.environ, TOKEN: server.token},
            check=False,
        )
        said = done.stderr.strip()[-200:]
        if done.returncode not in codes:
            raise ValueError(f"it ended with code {done.returncode}")  # noqa: TRY301 - one remedy
        return parse(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise Unavailable(
            "a load generator did not work", f"{error}; {said}", "Run it again.", retry_after_s=1.0
        ) from error
