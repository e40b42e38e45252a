"""Where a topology comes from: a path, an http(s) URL, or `radio:N[:SEED]`.

The format is told by content, not by name. A network that two documents describe is named by one of
them, the other is taken from beside it. Reading is all or nothing: either a whole valid `Imported`
comes back or a `TopologyError`, and a feed that fails keeps what it knew, so that the next poll
compares with the last good version.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from actors.topology import radio
from actors.topology.download import fetch_url
from actors.topology.errors import TopologyError
from actors.topology.fetch import Fetched, fetch_file, is_url, refuse, shown
from actors.topology.formats import content
from actors.topology.formats.metrics import AUTO
from actors.topology.selection import Imported, Wanted, select

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.topology.fetch import Validators
    from actors.topology.formats.content import Companion

MAX_LEFT_OUT: Final = 0.1  # share of the records that a map may lose to faults in one poll


def read(
    source: str, *, vpn: bool = True, all_components: bool = False, quality: str = AUTO
) -> Imported:
    """Read a topology, blocking until it is there or the bounds of `fetch` are reached.

    Args:
        source: a path, an http(s) URL, `radio:N` or `radio:N:SEED`.
        vpn: keep VPN links.
        all_components: keep more than the largest component.
        quality: what the qualities of the map are, one of `metrics.QUALITIES`.

    Raises:
        TopologyError: the source cannot be read or used; it names the entry and the remedy.
    """
    if source.startswith(radio.PREFIX):
        return _made_up(source)
    # In a new thread, since the caller's may run an event loop (as a notebook's does).
    with ThreadPoolExecutor(max_workers=1) as thread:
        documents = thread.submit(lambda: asyncio.run(_fetch(source, _Documents()))).result()
    if documents is None:
        raise AssertionError("an unconditional request was answered as conditional")
    return _import(documents, source, Wanted(vpn, all_components, quality))


def parse(body: bytes, name: str, wanted: Wanted, companion: bytes | None = None) -> Imported:
    """Read a map from its bytes; `name` is what errors call it.

    Raises:
        TopologyError: the body is no map of a known format, or no valid one.
    """
    return select(content.read(body, name, wanted.quality, companion), wanted)


class TopologyFeed:
    """A source that is polled, and gives a topology only when it is new.

    A server is asked with `If-None-Match` and `If-Modified-Since`, a file is read again when
    its inode, size or time has changed, and a map whose mesh is the same as before (only its
    timestamp or statistics differ) counts as unchanged. One that has lost more than `MAX_LEFT_OUT`
    of its records to faults since the last one is refused. One poll at a time.
    """

    def __init__(
        self, source: str, *, vpn: bool = True, all_components: bool = False, quality: str = AUTO
    ) -> None:
        self._source = source
        self._wanted = Wanted(vpn, all_components, quality)
        self._documents = _Documents()
        self._last: Imported | None = None
        self._polling = asyncio.Lock()

    @property
    def name(self) -> str:
        """The source as logs may show it, without credentials."""
        return shown(self._source)

    async def poll(self) -> Imported | None:
        """Return the topology if it is new since the last poll that returned one, else None.

        Reading files, parsing and generating run in a thread; the event loop stays free.

        Raises:
            TopologyError: see `read`; the feed is unchanged and may be polled again.
        """
        async with self._polling:
            if self._source.startswith(radio.PREFIX):
                if self._last is None:
                    self._last = await asyncio.to_thread(_made_up, self._source)
                    return self._last
                return None
            documents = await _fetch(self._source, self._documents)
            if documents is None:
                return None
            imported = await asyncio.to_thread(_import, documents, self._source, self._wanted)
            self._hold_if_worse(imported)
            self._documents = documents
            known, self._last = self._last, imported
            return None if known is not None and known.topology == imported.topology else imported

    def _hold_if_worse(self, imported: Imported) -> None:
        """Refuse a map that has lost too much to faults.

        Raises:
            TopologyError: it has.
        """
        before = 0.0 if self._last is None else self._last.share_left_out
        if self._last is not None and imported.share_left_out > before + MAX_LEFT_OUT:
            said = "; ".join(f"{each.entry}: {each.why}" for each in imported.said[:3])
            refuse(
                self._source,
                f"{imported.share_left_out:.0%} of its {imported.records} records cannot be used"
                f" ({said}), {before:.0%} of the last map; that one stays",
                "Correct the map, or start again to take it as it is.",
            )


@dataclass(frozen=True, slots=True)
class _Documents:
    """The documents of a source as they were fetched last.

    Attributes:
        fetched: by their locations.
        companion: the second one, if the first one needs it.
        note: why an optional second one is not there.
    """

    fetched: Mapping[str, Fetched] = field(default_factory=dict)
    companion: Companion | None = None
    note: str = ""


async def _fetch(source: str, known: _Documents) -> _Documents | None:
    """The documents of a source; None if none has changed."""
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
    return _Documents(fetched, companion, note)


async def _fetch_one(location: str, known: _Documents) -> Fetched | None:
    held = known.fetched.get(location)
    validators: Validators | None = None if held is None else held.validators
    if is_url(location):
        return await fetch_url(location, validators)
    return await asyncio.to_thread(fetch_file, location, validators)


def _import(documents: _Documents, source: str, wanted: Wanted) -> Imported:
    beside = documents.companion and documents.fetched.get(documents.companion.location)
    imported = parse(
        documents.fetched[source].body, shown(source), wanted, beside.body if beside else None
    )
    if documents.note:
        return replace(imported, warnings=(*imported.warnings, documents.note))
    return imported


def _made_up(spec: str) -> Imported:
    n_nodes, seed = radio.parse(spec)
    return Imported(radio.generate(n_nodes, seed), "radio", {})
