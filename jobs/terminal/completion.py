"""What the shell completes: names and ids of nodes, of the running session or of a map.

It is asked while somebody types, so it takes a bounded time and is silent: what cannot be told in
time is not completed. Nothing is fetched from a URL for it.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer  # noqa: TC002 - typer reads the annotations

from actors.runtime.errors import X0Error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from actors.topology.naming import Naming

IN_ALL_S: Final = 2.0
ANSWER_S: Final = 1.0  # for an answer of the gateway
MAP_BYTES: Final = 8 * 2**20  # a larger map takes longer to read
MOST: Final = 200  # completions that are offered


class _Completion(str):
    """A completion that is offered although it differs from what was typed: in case, in quotes.

    typer drops what does not begin as the word does.
    """

    __slots__ = ()

    def startswith(self, *_: object) -> bool:
        """It fits; `Naming.completions` has seen to that."""
        return True


Completions = list[tuple[str, str]]  # each with what is said beside it


def node(ctx: typer.Context, incomplete: str) -> Completions:
    """Names and ids that begin so, each with the id or name that belongs to it."""
    offered = _offered(ctx, incomplete)
    return [(_Completion(_typed(called)), other) for called, other in offered.items()]


def nodes(ctx: typer.Context, incomplete: str) -> Completions:
    """The same of the last node of a list `A,B`."""
    before, comma, last = incomplete.rpartition(",")
    offered = _offered(ctx, last)
    # A name with a comma has to be quoted in a list; its id, which `other` is, hardly ever.
    plain = ((other if "," in called else called, other) for called, other in offered.items())
    return [(_Completion(_typed(f"{before}{comma}{called}")), other) for called, other in plain]


def words(listed: str) -> Callable[[], list[str]]:
    """Words that are listed as a help text lists them: `name, id, quality (the worst first)`."""
    known = [word.split()[0] for word in listed.split(",")]
    return lambda: known


def _offered(ctx: typer.Context, incomplete: str) -> dict[str, str]:
    with _in_time():
        naming = _naming(ctx.params.get("topology"))
        if naming is not None:
            return naming.completions(incomplete, MOST)
    return {}


@contextlib.contextmanager
def _in_time() -> Iterator[None]:
    """End what takes too long, and what cannot be told."""

    def stop(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, IN_ALL_S)
    try:
        # What a session or a map may be at fault; a shell would show it in the midst of the line.
        with contextlib.suppress(X0Error, OSError, ValueError, LookupError, TypeError):
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _typed(text: str) -> str:
    """A word as it is typed: bash takes completions as they are, other shells quote them."""
    if "bash" not in os.environ.get("_X0_COMPLETE", ""):
        return text
    return re.sub(r"([^\w@%+=:,./-])", r"\\\1", text)


def _naming(topology: str | None) -> Naming | None:
    from jobs.launch import found, listings

    if topology is None:
        client = found.gateway(found.state_dir())
        if client is not None:
            return listings.of_session(client, answer_s=ANSWER_S).naming()
        topology = os.environ.get("X0TTA6BL4_TOPOLOGY")
    return None if topology is None else _of_map(topology)


def _of_map(topology: str) -> Naming | None:
    from actors.topology.fetch import is_url
    from actors.topology.formats import content
    from actors.topology.naming import Naming

    path = Path(topology).expanduser()
    if is_url(topology) or path.stat().st_size > MAP_BYTES:
        return None
    nodes = content.read(path.read_bytes(), path.name).nodes
    return Naming({node.id: at for at, node in enumerate(nodes)}, [node.name for node in nodes])
