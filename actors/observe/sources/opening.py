"""Makes the source that a specification names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.observe.sources import babel_sockets, command, respondd_targets
from actors.observe.sources.alfred import AlfredSource
from actors.observe.sources.babeld import TIMEOUT_S as BABELD_S
from actors.observe.sources.babeld import BabelSource
from actors.observe.sources.batctl import BatctlSource
from actors.observe.sources.configured import ConfiguredSource
from actors.observe.sources.published import CommandSource, MapSource
from actors.observe.sources.respondd import WINDOW_S, RespondSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from actors.observe.contract import ReadingSource
    from actors.observe.sources.source_spec import SourceSpec


def open_source(spec: SourceSpec) -> ConfiguredSource:
    """The source of a specification. Nothing is opened before its first poll.

    Raises:
        InvalidInput: the kind cannot use what is given as where.
    """
    return ConfiguredSource(_OPENERS[spec.kind](spec), spec)


def open_sources(specs: Iterable[SourceSpec]) -> tuple[ConfiguredSource, ...]:
    """The sources of several specifications, each with a name of its own.

    Raises:
        InvalidInput: see `open_source`.
    """
    found: list[ConfiguredSource] = []
    for spec in specs:
        source = open_source(spec)
        alike = sum(each.name.partition(" (")[0] == source.name for each in found)
        if alike:
            source.name = f"{source.name} ({alike + 1})"
        found.append(source)
    return tuple(found)


def _map(spec: SourceSpec) -> ReadingSource:
    return MapSource(spec.where, spec.quality)


def _respondd(spec: SourceSpec) -> ReadingSource:
    return RespondSource(respondd_targets.parse(spec.where), spec.timeout_s or WINDOW_S)


def _babeld(spec: SourceSpec) -> ReadingSource:
    sockets = babel_sockets.parse(spec.where)
    return BabelSource(sockets, spec.timeout_s or BABELD_S, monitor=spec.monitor)


def _batctl(spec: SourceSpec) -> ReadingSource:
    return BatctlSource(spec.where, spec.timeout_s or command.TIMEOUT_S)


def _alfred(spec: SourceSpec) -> ReadingSource:
    return AlfredSource(spec.where, spec.timeout_s or command.TIMEOUT_S)


def _command(spec: SourceSpec) -> ReadingSource:
    return CommandSource(spec.where, spec.timeout_s or command.TIMEOUT_S, spec.quality)


_OPENERS: Mapping[str, Callable[[SourceSpec], ReadingSource]] = {
    "map": _map,
    "respondd": _respondd,
    "babeld": _babeld,
    "batctl": _batctl,
    "alfred": _alfred,
    "command": _command,
}
