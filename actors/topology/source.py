"""Where a topology comes from: a path, an http(s) URL, or `radio:N[:SEED]`.

The format is told by content, not by name. A network that two documents describe is named by one of
them, the other is taken from beside it. Reading is all or nothing: either a whole valid `Imported`
comes back or a `TopologyError`, and a feed that fails keeps what it knew, so that the next poll
compares with the last good version.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from actors.topology import map_documents, radio, radio_spec
from actors.topology.fetch import refuse, shown
from actors.topology.formats import content
from actors.topology.formats.metrics import AUTO
from actors.topology.map_documents import MapDocuments
from actors.topology.selection import Imported, Wanted, select

MAX_LEFT_OUT: Final = 0.1  # share of the records that a map may lose to faults in one poll

if TYPE_CHECKING:
    from actors.topology.model import Topology


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
    if source.startswith(radio_spec.PREFIX):
        return _made_up(source)
    # In a new thread, since the caller's may run an event loop (as a notebook's does).
    with ThreadPoolExecutor(max_workers=1) as thread:
        fetching = map_documents.fetch(source, MapDocuments())
        found = thread.submit(lambda: asyncio.run(fetching)).result()
    if found is None:
        raise AssertionError("an unconditional request was answered as conditional")
    return _import(found, source, Wanted(vpn, all_components, quality))


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
    timestamp or statistics differ, and no name) counts as unchanged. One that has lost more than
    `MAX_LEFT_OUT` of its records to faults since the last one is refused. One poll at a time.
    """

    def __init__(
        self, source: str, *, vpn: bool = True, all_components: bool = False, quality: str = AUTO
    ) -> None:
        self._source = source
        self._wanted = Wanted(vpn, all_components, quality)
        self._documents = MapDocuments()
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
            if self._source.startswith(radio_spec.PREFIX):
                if self._last is None:
                    self._last = await asyncio.to_thread(_made_up, self._source)
                    return self._last
                return None
            found = await map_documents.fetch(self._source, self._documents)
            if found is None:
                return None
            imported = await asyncio.to_thread(_import, found, self._source, self._wanted)
            self._hold_if_worse(imported)
            self._documents = found
            known, self._last = self._last, imported
            return (
                None if known is not None and _same(known.topology, imported.topology) else imported
            )

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


def _same(known: Topology, new: Topology) -> bool:
    """Whether both are the same mesh, with the same names."""
    return known == new and known.nodes.names == new.nodes.names


def _import(found: MapDocuments, source: str, wanted: Wanted) -> Imported:
    return select(map_documents.read(found, source, wanted.quality), wanted)


def _made_up(spec: str) -> Imported:
    n_nodes, seed = radio_spec.parse(spec)
    return Imported(radio.generate(n_nodes, seed), "radio", {})
