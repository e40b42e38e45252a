"""The sources `map` and `command`: what a network publishes or a command prints, in any format."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from actors.observe.sources import command
from actors.topology import map_documents
from actors.topology.fetch import shown
from actors.topology.formats import content
from actors.topology.formats.metrics import AUTO
from actors.topology.map_documents import MapDocuments

if TYPE_CHECKING:
    from actors.topology.network import Reading


class MapSource:
    """A file or a URL, with the one beside it that belongs to it; read again when one has changed.

    Args:
        where: path or http(s) URL.
        quality: what its qualities are, see `metrics.QUALITIES`.
    """

    kind = "map"

    def __init__(self, where: str, quality: str = AUTO) -> None:
        self.name = shown(where)
        self._where = where
        self._quality = quality
        self._documents = MapDocuments()

    async def poll(self) -> Reading | None:
        """Read it; None if it is the version that the last reading was of.

        Raises:
            TopologyError: it cannot be fetched or read.
        """
        found = await map_documents.fetch(self._where, self._documents)
        if found is None:
            return None
        reading = await asyncio.to_thread(map_documents.read, found, self._where, self._quality)
        self._documents = found
        return reading


class CommandSource:
    """A command that is run at each poll.

    Args:
        line: the command with its arguments.
        timeout_s: longest time that it may take, s.
        quality: what its qualities are, see `metrics.QUALITIES`.

    Raises:
        InvalidInput: the line is no command.
    """

    kind = "command"

    def __init__(
        self, line: str, timeout_s: float = command.TIMEOUT_S, quality: str = AUTO
    ) -> None:
        self.name = f"command:{command.shown(line)}"
        self._argv = command.split(line)
        self._timeout_s = timeout_s
        self._quality = quality

    async def poll(self) -> Reading:
        """Run it and read what it prints.

        Raises:
            TopologyError: it fails, or prints what cannot be read.
        """
        body = await command.run(self._argv, self._timeout_s)
        return await asyncio.to_thread(content.read, body, self.name, self._quality)
