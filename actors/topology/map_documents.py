"""The documents that describe a network: one, or two that belong together, and their versions.

A network that two documents describe (`nodes.json` with `graph.json`, `links.csv` with `nodes.csv`)
is named by one of them; the other is taken from beside it. A server is asked with `If-None-Match`
and `If-Modified-Since`, a file is read again when its inode, size or time has changed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from actors.topology.download import fetch_url
from actors.topology.errors import TopologyError
from actors.topology.fetch import Fetched, fetch_file, is_url, shown
from actors.topology.formats import content
from actors.topology.formats.metrics import AUTO

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.topology.fetch import Validators
    from actors.topology.formats.content import Companion
    from actors.topology.network import Reading


@dataclass(frozen=True, slots=True)
class MapDocuments:
    """The documents of a source as they were fetched last.

    Attributes:
        fetched: by their locations.
        companion: the second one, if the first one needs it.
        note: why an optional second one is not there.
    """

    fetched: Mapping[str, Fetched] = field(default_factory=dict)
    companion: Companion | None = None
    note: str = ""


async def fetch(source: str, known: MapDocuments) -> MapDocuments | None:
    """The documents of a source; None if none has changed.

    Args:
        source: a path or an http(s) URL.
        known: what was fetched before.

    Raises:
        TopologyError: one that is needed cannot be fetched, or is in no known format.
    """
    first = await _fetch_one(source, known)
    companion = known.companion
    if first is not None:
        companion = await asyncio.to_thread(content.beside, first.body, source)
    second, note = None, ""
    if companion is not None:
        try:
            second = await _fetch_one(companion.location, known)
        except TopologyError as error:
            if companion.needed:
                raise
            note = f"{shown(companion.location)} is not read: {error.why}."
    if first is None and second is None and note == known.note:
        return None
    fetched = {source: first or known.fetched[source]}
    if companion is not None and not note:
        fetched[companion.location] = second or known.fetched[companion.location]
    return MapDocuments(fetched, companion, note)


def read(documents: MapDocuments, source: str, quality: str = AUTO) -> Reading:
    """The network that the documents of a source describe.

    Args:
        documents: what `fetch` gave.
        source: its path or URL.
        quality: what its qualities are, one of `metrics.QUALITIES`.

    Raises:
        TopologyError: they describe none.
    """
    beside = documents.companion and documents.fetched.get(documents.companion.location)
    body = documents.fetched[source].body
    reading = content.read(body, shown(source), quality, beside.body if beside else None)
    if documents.note:
        return replace(reading, notes=(*reading.notes, documents.note))
    return reading


async def _fetch_one(location: str, known: MapDocuments) -> Fetched | None:
    held = known.fetched.get(location)
    validators: Validators | None = None if held is None else held.validators
    if is_url(location):
        return await fetch_url(location, validators)
    return await asyncio.to_thread(fetch_file, location, validators)
