# ruff: noqa: N818 - an error is named by its condition, as an operator would say it
"""The root of the tree of errors that this project raises, and what all parts share of it.

    X0Error                     500
    ├── ConfigurationError      500  a setting, flag or environment variable is wrong
    ├── InvalidInput            422  something given from outside breaks a rule
    ├── Conflict                409  the state does not allow it now
    ├── ActorFailed             500  a call of an actor ended in a defect of that actor
    └── Unavailable             503  works again by itself or after a stated action
        ├── ActorUnavailable    503  an actor does not answer
        └── NotRunning          503  there is no such actor, or no cluster

Each kind of actor has the errors of its own domain beside it, in its `errors` module.

Invariants: every error says what failed, why, and what to do about it; it has one HTTP status; it
survives pickling with all its fields, so it crosses processes unchanged. Fields live in the
instance, never as class defaults: Ray wraps an actor's error in a class derived from it whose
instance looks missing attributes up in the original, and a class default would hide them.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable

CLOSE_MATCHES = 3


def close_matches(word: str, known: Iterable[str]) -> str:
    """Say which of `known` the author of `word` may have meant; empty when none is close."""
    close = difflib.get_close_matches(word, list(known), n=CLOSE_MATCHES)
    return f"Did you mean {' or '.join(close)}?" if close else ""


class X0Error(Exception):
    """Root of the tree.

    Attributes:
        what: what failed, without a full stop.
        why: the cause, without a full stop.
        remedy: what the reader can do, a sentence.
    """

    http_status: ClassVar[int] = 500

    what: str
    why: str
    remedy: str

    def __init__(self, what: str, why: str, remedy: str, **fields: object) -> None:
        super().__init__(what, why, remedy)
        self.__dict__.update(fields, what=what, why=why, remedy=remedy)

    def __str__(self) -> str:
        return f"{self.what}: {self.why.removesuffix('.')}. {self.remedy}"

    def __reduce__(self) -> tuple[object, ...]:
        # Exception pickles as cls(*args), which fails for subclasses with their own signature.
        return _restore, (type(self), self.args, self.__dict__)


def _restore(cls: type[X0Error], args: tuple[object, ...], fields: dict[str, object]) -> X0Error:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(fields)
    return error


class ConfigurationError(X0Error):
    """A setting is wrong; nothing was started. `variable` is the name to correct."""

    variable: str

    def __init__(self, what: str, why: str, remedy: str, *, variable: str) -> None:
        super().__init__(what, why, remedy, variable=variable)


class InvalidInput(X0Error):
    """Input from outside breaks a rule.

    Attributes:
        source: the origin of the input (file, URL, "argument"), without credentials.
        entry: the part that is wrong, such as `links[17].source_tq`; empty for the whole.
    """

    http_status = 422

    source: str
    entry: str

    def __init__(
        self, what: str, why: str, remedy: str, *, source: str = "argument", entry: str = ""
    ) -> None:
        super().__init__(what, why, remedy, source=source, entry=entry)


class Conflict(X0Error):
    """The request is valid, and the present state forbids it."""

    http_status = 409


class Unavailable(X0Error):
    """Not now. `retry_after_s` is a hint in seconds, not a promise."""

    http_status = 503

    retry_after_s: float

    def __init__(
        self, what: str, why: str, remedy: str, *, retry_after_s: float, **fields: object
    ) -> None:
        super().__init__(what, why, remedy, retry_after_s=retry_after_s, **fields)


class ActorUnavailable(Unavailable):
    """The actor named `actor` does not answer; whether the call ran is then unknown."""

    actor: str

    def __init__(
        self,
        actor: str,
        why: str = "its process ended or is restarting",
        remedy: str = "",
        *,
        retry_after_s: float = 1.0,
        **fields: object,
    ) -> None:
        super().__init__(
            f"actor {actor} does not answer",
            why,
            remedy or f"Retry after {retry_after_s:g} s.",
            retry_after_s=retry_after_s,
            actor=actor,
            **fields,
        )


class NotRunning(Unavailable):
    """No cluster or actor of that name runs. `missing` names what was looked for."""

    missing: str

    def __init__(
        self,
        missing: str,
        *,
        why: str,
        remedy: str = "Start it with `x0 up`.",
        retry_after_s: float = 5.0,
    ) -> None:
        super().__init__(
            f"cannot find {missing}",
            why,
            remedy,
            retry_after_s=retry_after_s,
            missing=missing,
        )


class ActorFailed(X0Error):
    """A method of the actor named `actor` raised an undocumented error."""

    actor: str

    def __init__(self, actor: str, error: BaseException) -> None:
        super().__init__(
            f"actor {actor} failed at a call",
            f"{type(error).__name__}: {error}",
            "This is a defect; the log of the actor has the details.",
            actor=actor,
        )
