"""The four switches of the project, read once at start.

A flag with a value other than yes or no is an error: no flag is ignored silently. MINIMAL (mesh
core only) excludes the others.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Self

from actors.runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX: Final = "X0TTA6BL4_"
_WORDS: Final = {
    "true": True,
    "1": True,
    "yes": True,
    "on": True,
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}
_MEANING: Final = {
    "byzantine": "agreement that holds with lying nodes, quarantine of proven liars",
    "failover": "precomputed loop-free alternates, take-over of a dead shard's nodes",
    "pqc_beacons": "post-quantum signatures on beacons, sessions between shards",
    "minimal": "the mesh core only",
}

FlagState = Literal["on", "off"]


class FlagRow(NamedTuple):
    """One line of `x0 status`."""

    name: str
    variable: str
    state: FlagState
    meaning: str


@dataclass(frozen=True, slots=True)
class Flags:
    """The effective set of flags.

    Raises:
        ConfigurationError: MINIMAL is combined with another.
    """

    byzantine: bool = False
    failover: bool = False
    pqc_beacons: bool = False
    minimal: bool = False

    def __post_init__(self) -> None:
        on = [f.name for f in fields(self) if getattr(self, f.name) and f.name != "minimal"]
        if self.minimal and on:
            raise ConfigurationError(
                f"{variable('minimal')} and {variable(on[0])} are both on",
                "MINIMAL means the mesh core only and excludes every other flag",
                "Switch one of the two off.",
                variable=variable("minimal"),
            )

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the flags from `environ` (default: that of the process).

        Raises:
            ConfigurationError: a value is neither yes nor no, or see the class.
        """
        environ = os.environ if environ is None else environ
        return cls(
            **{
                f.name: _parse(variable(f.name), environ[variable(f.name)])
                for f in fields(cls)
                if variable(f.name) in environ
            }
        )

    def report(self) -> tuple[FlagRow, ...]:
        """One row a flag, in the order of declaration."""
        return tuple(
            FlagRow(f.name, variable(f.name), self._state(f.name), _MEANING[f.name])
            for f in fields(self)
        )

    def _state(self, name: str) -> FlagState:
        return "on" if getattr(self, name) else "off"


def variable(name: str) -> str:
    """Environment variable of the flag `name`."""
    return PREFIX + name.upper()


def variables() -> frozenset[str]:
    """All environment variables that are flags."""
    return frozenset(variable(f.name) for f in fields(Flags))


def _parse(name: str, text: str) -> bool:
    try:
        return _WORDS[text.strip().lower()]
    except KeyError:
        raise ConfigurationError(
            f"{name} is {text[:40]!r}",
            "it is neither yes nor no",
            f"Set it to one of {', '.join(_WORDS)}, or unset it.",
            variable=name,
        ) from None
