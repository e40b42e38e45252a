"""Where a topology comes from: a path, an http(s) URL, or `radio:N[:SEED]`.

The format is told by content, not by name. Reading is all or nothing: either a whole valid
`Imported` comes back or a `TopologyError`, and a feed that fails keeps what it knew, so that
the next poll compares with the last good version.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from actors.topology import radio
from actors.topology.download import fetch_url
from actors.topology.fetch import Validators, fetch_file, is_url, shown
from actors.topology.formats import content
from actors.topology.selection import Imported, Wanted, select

if TYPE_CHECKING:
    from actors.topology.fetch import Fetched


def read(source: str, *, vpn: bool = True, all_components: bool = False) -> Imported:
    """Read a topology, blocking until it is there or the bounds of `fetch` are reached.

    Args:
        source: a path, an http(s) URL, `radio:N` or `radio:N:SEED`.
        vpn: keep VPN links.
        all_components: keep more than the largest component.

    Raises:
        TopologyError: the source cannot be read or used; it names the entry and the remedy.
    """
    if source.startswith(radio.PREFIX):
        return _made_up(source)
    if is_url(source):
        # In a new thread, since the caller's may run an event loop (as a notebook's does).
        with ThreadPoolExecutor(max_workers=1) as thread:
            fetched = thread.submit(lambda: asyncio.run(fetch_url(source))).result()
    else:
        fetched = fetch_file(source)
    if fetched is None:
        raise AssertionError("an unconditional request was answered as conditional")
    return parse(fetched.body, shown(source), Wanted(vpn, all_components))


def parse(body: bytes, name: str, wanted: Wanted) -> Imported:
    """Read a map from its bytes; `name` is what errors call it.

    Raises:
        TopologyError: the body is no map of a known format, or no valid one.
    """
    return select(content.read(body, name, wanted.quality), wanted)


class TopologyFeed:
    """A source that is polled, and gives a topology only when it is new.

    A server is asked with `If-None-Match` and `If-Modified-Since`, a file is read again when
    its inode, size or time has changed, and a map whose mesh is the same as before (only its
    timestamp or statistics differ) counts as unchanged. One poll at a time.
    """

    def __init__(self, source: str, *, vpn: bool = True, all_components: bool = False) -> None:
        self._source = source
        self._wanted = Wanted(vpn, all_components)
        self._validators = Validators()
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
                if self._last is not None:
                    return None
                return self._accept(await asyncio.to_thread(_made_up, self._source), Validators())
            fetched: Fetched | None
            if is_url(self._source):
                fetched = await fetch_url(self._source, self._validators)
            else:
                fetched = await asyncio.to_thread(fetch_file, self._source, self._validators)
            if fetched is None:
                return None
            imported = await asyncio.to_thread(
                parse, fetched.body, shown(self._source), self._wanted
            )
            return self._accept(imported, fetched.validators)

    def _accept(self, imported: Imported, validators: Validators) -> Imported | None:
        self._validators = validators
        known, self._last = self._last, imported
        return None if known is not None and known.topology == imported.topology else imported


def _made_up(spec: str) -> Imported:
    n_nodes, seed = radio.parse(spec)
    return Imported(radio.generate(n_nodes, seed), "radio", {})
