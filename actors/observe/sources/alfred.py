"""The source `alfred`: what nodes have given to alfred, which is what they answer by respondd.

`alfred-json -r TYPE -z` prints an object by the address of each node, for the types 158 (nodeinfo),
159 (statistics) and 160 (neighbours). alfred keeps what a node has said for ten minutes.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from actors.observe.sources import command
from actors.topology.formats import respondd
from actors.topology.formats.document import Document, parse_json, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.topology.network import Reading

FORMAT: Final = "alfred"
TYPES: Final = {"nodeinfo": "158", "statistics": "159", "neighbours": "160"}


class AlfredSource:
    """A host with alfred.

    Args:
        line: what stands before `-r TYPE`: `alfred-json -z`, `ssh gw1 alfred-json -z`.
        timeout_s: longest time of one query, s.

    Raises:
        InvalidInput: the line is no command.
    """

    kind = "alfred"

    def __init__(self, line: str, timeout_s: float = command.TIMEOUT_S) -> None:
        self.name = f"alfred:{command.shown(line)}"
        self._argv = command.split(line)
        self._timeout_s = timeout_s

    async def poll(self) -> Reading:
        """Run the queries, all at once.

        Raises:
            TopologyError: one of them fails, or prints what is no JSON object.
        """
        queries = {section: [*self._argv, "-r", number] for section, number in TYPES.items()}
        answers = await command.run_each(queries, self._timeout_s)
        return await asyncio.to_thread(read, answers, self.name)


def read(answers: Mapping[str, bytes], source: str) -> Reading:
    """Join what alfred printed for each section.

    Raises:
        TopologyError: one of them is no JSON object, or no node is in them.
    """
    nodes: dict[str, dict[str, Any]] = {}
    for section, body in answers.items():
        root = parse_json(text_of(body, source), source)
        if not isinstance(root, dict):
            Document(source, root).refuse(
                section, "it is no JSON object", "Use alfred-json, which prints one."
            )
        for address, said in root.items():
            nodes.setdefault(address, {})[section] = said
    return respondd.read_responses(nodes.items(), source, FORMAT)
