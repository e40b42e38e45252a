"""What became of the messages of a long request, written down while it goes on.

Kept as text of the answer to come: a million ids as numbers would take several times the memory.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serve_apps.gateway.decoding import MessageRefusal
    from serve_apps.gateway.send_batcher import SendOutcome


class Tally:
    """Adds up outcomes."""

    def __init__(self) -> None:
        self.count = 0
        self.refused = 0
        self.cut_off = False
        self._ids: list[str] = []
        self._refusals: list[str] = []

    def add(self, outcome: SendOutcome) -> None:
        """Take down what became of the next messages."""
        if not outcome.ids:
            return
        ids = (f'"{number}"' if number else "null" for number in outcome.ids)
        self._ids.append(",".join(ids))
        for row, why in outcome.refusals.items():
            self._refusals.append(json.dumps(why.shown(self.count + row)))
        self.count += len(outcome.ids)
        self.refused += len(outcome.refusals)

    def cut(self, why: MessageRefusal) -> None:
        """Take down that the next message and all after it were not sent."""
        self._ids.append("null")
        self._refusals.append(json.dumps(why.shown(self.count)))
        self.count += 1
        self.refused += 1
        self.cut_off = True

    def document(self) -> bytes:
        """The answer in JSON."""
        return (
            f'{{"accepted":{self.count - self.refused},"refused":{self.refused},'
            f'"ids":[{",".join(self._ids)}],"refusals":[{",".join(self._refusals)}]}}'
        ).encode()
