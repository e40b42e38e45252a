"""The source `batctl`: runs a few queries of batctl, on this host or over ssh."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from actors.observe.sources import batctl_answers, command

if TYPE_CHECKING:
    from actors.topology.network import Reading


class BatctlSource:
    """One host with batman-adv.

    Args:
        line: what stands before the query: `batctl meshif bat0`, `ssh gw1 batctl meshif bat0`.
        timeout_s: longest time of one query, s.

    Raises:
        InvalidInput: the line is no command.
    """

    kind = "batctl"

    def __init__(self, line: str, timeout_s: float = command.TIMEOUT_S) -> None:
        self.name = f"batctl:{command.shown(line)}"
        self._argv = command.split(line)
        self._timeout_s = timeout_s

    async def poll(self) -> Reading:
        """Run the queries, all at once.

        Raises:
            TopologyError: one that is needed fails, or an answer cannot be read.
        """
        names = (*batctl_answers.REQUIRED, *batctl_answers.OPTIONAL)
        queries = {name: [*self._argv, name] for name in names}
        # Older versions lack some of them.
        answers = await command.run_each(queries, self._timeout_s, batctl_answers.OPTIONAL)
        return await asyncio.to_thread(batctl_answers.read, answers, self.name)
