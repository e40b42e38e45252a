"""The exit codes of all commands: one number, one meaning.

Failures are told apart by what a script would do next: start a mesh, correct what it gave, give way
to what is there, try again later, or report a defect (70 and 74 are those of sysexits(3)).
"""

from __future__ import annotations

from typing import Final

from actors.runtime.errors import ConfigurationError, NotRunning, X0Error

OK: Final = 0
NO_MESH: Final = 1
BAD_INPUT: Final = 2  # as of typer, for wrong usage
NOT_WELL: Final = 3
UNAVAILABLE: Final = 4
CONFLICT: Final = 5
DEFECT: Final = 70
NOT_WRITTEN: Final = 74
SIGNAL: Final = 128  # plus the number of the signal

MEANINGS: Final = {
    OK: "done, and all is well",
    NO_MESH: "nothing is running",
    BAD_INPUT: "wrong usage, input or setting",
    NOT_WELL: "done, and something is not well: a shard is down, a source is stale or odd, a "
    "message was not delivered, a plan is not sold, an entry was not decided, a drill or a demo "
    "fell short",
    UNAVAILABLE: "not possible now; a later try may succeed",
    CONFLICT: "what is there already forbids it, such as a mesh that is running",
    DEFECT: "a defect of this program",
    NOT_WRITTEN: "a result or a file could not be written",
    SIGNAL: "plus the number of the signal that ended the command: 130 after Ctrl-C",
}

_BY_STATUS: Final = {
    400: BAD_INPUT,
    404: BAD_INPUT,
    409: CONFLICT,
    413: BAD_INPUT,
    422: BAD_INPUT,
    429: UNAVAILABLE,
    503: UNAVAILABLE,
}


def of(error: X0Error) -> int:
    """The exit code of a command that ends with this error."""
    if isinstance(error, NotRunning):
        return NO_MESH
    if isinstance(error, ConfigurationError):
        return BAD_INPUT
    return _BY_STATUS.get(error.http_status, DEFECT)


def table() -> str:
    """All of them, for `x0 --help`."""
    return "; ".join(f"{code} {meaning}" for code, meaning in MEANINGS.items())
