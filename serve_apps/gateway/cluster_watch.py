"""Whether the control process of the Ray cluster (the GCS) still lives.

The gateway and the actors speak to each other over sockets of their own, so all answers stay true
for the minute that Ray's other processes take to follow a control process that has died. Then all
of them end at once. In that minute the gateway says what is coming.
"""

from __future__ import annotations

import asyncio
from typing import Final

LOOK_S: Final = 2.0  # between two looks
_ANSWER_S: Final = 3.0  # for a connection to the same host; a process that only hangs takes it too


class ClusterWatch:
    """Looks at the control process again and again.

    Args:
        address: where it listens, "host:port".

    Attributes:
        gone: why it is taken for dead; "" while it lives.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.gone = ""

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Look once. Only a refused connection is a death: a busy host may be slow to answer."""
        host, _, port = self.address.rpartition(":")
        try:
            async with asyncio.timeout(_ANSWER_S):
                _reader, writer = await asyncio.open_connection(host, int(port))
        except TimeoutError:
            return
        except OSError as error:
            self.gone = f"nothing listens at {self.address} ({error.strerror or error})"
        else:
            self.gone = ""
            writer.close()
