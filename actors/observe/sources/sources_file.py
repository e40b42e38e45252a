"""A TOML file of sources, with what `KIND:WHERE` alone cannot say.

    [[sources]]
    source = "respondd:bat0"        # as after --source
    interval = 60                   # seconds between two polls
    timeout = 10                    # seconds for one poll
    community = "leipzig"           # of nodes that do not say themselves
    quality = "babel"               # of a map: auto, tq, babel, throughput
    monitor = true                  # babeld: keep listening between polls

A relative path of a `map` starts at the directory of the file.
"""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from actors.observe.sources import source_spec
from actors.runtime.errors import InvalidInput, close_matches
from actors.topology import fetch
from actors.topology.formats.metrics import QUALITIES

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.observe.sources.source_spec import SourceSpec

MAX_SOURCES: Final = 256
MAX_BYTES: Final = 2**20
_FIELDS: Final = {
    "interval": ("interval_s", "a number of seconds from 1 to 86400"),
    "timeout": ("timeout_s", "a number of seconds from 1 to 600"),
    "community": ("community", "a text of 1 to 128 characters"),
    "quality": ("quality", f"one of {', '.join(QUALITIES)}"),
    "monitor": ("monitor", "true or false"),
}
_RULES: Final[dict[str, Callable[[Any], bool]]] = {
    "interval": lambda value: _number(value) and 1 <= value <= 86_400,
    "timeout": lambda value: _number(value) and 1 <= value <= 600,
    "community": lambda value: isinstance(value, str) and 0 < len(value) <= 128,
    "quality": lambda value: value in QUALITIES,
    "monitor": lambda value: isinstance(value, bool),
}
_OF_EVERY_KIND: Final = frozenset({"interval", "timeout", "community"})


def read(path: Path) -> tuple[SourceSpec, ...]:
    """The sources of a file.

    Raises:
        InvalidInput: it cannot be read; the error names the place in it.
    """
    try:
        with path.open("rb") as file:
            body = file.read(MAX_BYTES + 1)
    except OSError as error:
        _refuse(str(path), "", (error.strerror or str(error)).lower(), "Give a TOML file.")
    if len(body) > MAX_BYTES:
        _refuse(str(path), "", "it is larger than 1 MiB", "Give a file of sources alone.")
    return parse(body, str(path), path.parent)


def parse(body: bytes, name: str, folder: Path) -> tuple[SourceSpec, ...]:
    """The sources of a file's content.

    Args:
        body: the content.
        name: what errors call it.
        folder: where relative paths start.

    Raises:
        InvalidInput: it is no TOML of this kind; the error names the place in it.
    """
    try:
        root = tomllib.loads(body.decode())
    except UnicodeDecodeError:
        _refuse(name, "", "it is not UTF-8", "Save it as UTF-8.")
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        _refuse(name, "", f"it is no TOML: {error}", "See https://toml.io.")
    extra = next((key for key in root if key != "sources"), None)
    if extra is not None:
        _refuse(name, extra, "there is no such key", "A file of sources has [[sources]] alone.")
    tables = root.get("sources")
    if not isinstance(tables, list) or not tables:
        _refuse(name, "sources", "it lists none", 'Write [[sources]] and source = "KIND:WHERE".')
    if len(tables) > MAX_SOURCES:
        _refuse(name, "sources", f"it lists more than {MAX_SOURCES}", "Give several files.")
    return tuple(_source(table, f"sources[{at}]", name, folder) for at, table in enumerate(tables))


def _source(table: object, entry: str, name: str, folder: Path) -> SourceSpec:
    if not isinstance(table, dict):
        _refuse(name, entry, "it is no table", "Write [[sources]].")
    text = table.get("source")
    if not isinstance(text, str):
        _refuse(name, f"{entry}.source", "it is missing", 'Write source = "KIND:WHERE".')
    try:
        spec = source_spec.parse(text)
    except InvalidInput as error:
        _refuse(name, f"{entry}.source", f"{error.what}: {error.why}", error.remedy)
    heeded = _OF_EVERY_KIND | source_spec.BY_NAME[spec.kind].options
    given: dict[str, Any] = {}
    for key, value in table.items():
        if key != "source":
            _check(key, value, heeded, spec.kind, f"{entry}.{key}", name)
            given[_FIELDS[key][0]] = value
    if spec.kind == "map" and not fetch.is_url(spec.where):
        given["where"] = str(folder / Path(spec.where).expanduser())
    return replace(spec, **given)


def _check(
    key: str, value: object, heeded: frozenset[str], kind: str, entry: str, name: str
) -> None:
    if key not in _FIELDS:
        hint = close_matches(key, _FIELDS) or f"Options are {', '.join(_FIELDS)}."
        _refuse(name, entry, "there is no such option", hint)
    if key not in heeded:
        _refuse(name, entry, f"a source of kind {kind} does not heed it", "Leave it out.")
    if not _RULES[key](value):
        _refuse(name, entry, "its value is not valid", f"Give {_FIELDS[key][1]}.")


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _refuse(name: str, entry: str, why: str, remedy: str) -> NoReturn:
    where = f" at {entry}" if entry else ""
    raise InvalidInput(
        f"cannot use the sources in {name}{where}", why, remedy, source=name, entry=entry
    ) from None
