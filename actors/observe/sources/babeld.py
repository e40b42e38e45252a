"""The source `babeld`: reads the control sockets of one or many babeld.

A router that does not answer costs its own words only: the others tell of it what they hear.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from actors.observe.sources.babel_connection import BabelConnection, BadAnswer
from actors.observe.sources.babel_join import AskedRouter, BabelJoin
from actors.topology.errors import TopologyError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from actors.observe.sources.babel_sockets import ControlSocket
    from actors.observe.sources.babel_table import BabelTable
    from actors.topology.network import NetworkNode, Reading

TIMEOUT_S: Final = 5.0  # for the answer of one router
_AT_ONCE: Final = 32  # routers asked at a time


class BabelSource:
    """Routers that are read.

    Args:
        sockets: their control sockets.
        timeout_s: longest time for the answer of one router, s.
        monitor: keep listening between polls, and tell of neighbours that were lost meanwhile.
    """

    kind = "babeld"

    def __init__(
        self,
        sockets: Sequence[ControlSocket],
        timeout_s: float = TIMEOUT_S,
        *,
        monitor: bool = False,
    ) -> None:
        shown = ",".join(each.name or str(each) for each in sockets[:3])
        self.name = f"babeld:{shown}{',...' if sockets[3:] else ''}"
        self._sockets = tuple(sockets)
        self._timeout_s = timeout_s
        self._monitor = monitor
        self._last: dict[ControlSocket, tuple[BabelTable, float]] = {}
        self._join = BabelJoin()
        self._connections: dict[ControlSocket, BabelConnection] = {}

    def __getstate__(self) -> dict[str, Any]:
        """All but the connections, which are of this process."""
        return self.__dict__ | {"_connections": {}}

    def recall(self, nodes: Mapping[str, NetworkNode]) -> None:
        """Learn whose addresses were whose: a router that is dead now cannot tell its own."""
        self._join.recall(nodes)

    async def poll(self) -> Reading:
        """Read all routers.

        Raises:
            TopologyError: none of them answers.
        """
        limit = asyncio.Semaphore(_AT_ONCE)

        async def one(where: ControlSocket) -> AskedRouter:
            async with limit:
                return await self._ask(where)

        routers = await asyncio.gather(*(one(where) for where in self._sockets))
        if all(router.failure for router in routers):
            raise TopologyError(
                f"cannot read {self.name}",
                f"{routers[0].where}: {routers[0].failure}",
                "Start babeld with `-g PORT` or `-g /PATH`, and see that this user may use it.",
                source=self.name,
            )
        reading = await asyncio.to_thread(self._join.reading, self.name, routers)
        lost = sum(connection.losses for connection in self._connections.values())
        if lost:
            for connection in self._connections.values():
                connection.losses = 0
            note = f"Since the reading before, neighbours were lost {lost:,} times."
            return replace(reading, notes=(*reading.notes, note))
        return reading

    async def close(self) -> None:
        """Close the connections."""
        for connection in self._connections.values():
            await connection.close()
        self._connections.clear()

    async def _ask(self, where: ControlSocket) -> AskedRouter:
        connection = self._connections.get(where)
        if connection is None:
            connection = BabelConnection(where, monitor=self._monitor)
            self._connections[where] = connection
        try:
            async with asyncio.timeout(self._timeout_s):
                table = await connection.read()
        except TimeoutError:
            failure = f"there is no answer within {self._timeout_s:g} s"
        except OSError as error:
            failure = (error.strerror or str(error) or type(error).__name__).lower()
        except BadAnswer as error:
            failure = str(error)
        else:
            self._last[where] = table, time.time()
            return AskedRouter(where.name, str(where), *self._last[where])
        known, at = self._last.get(where, (None, 0.0))
        return AskedRouter(where.name, str(where), known, at, failure)
