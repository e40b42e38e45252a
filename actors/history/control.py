"""Asks the historian how it is, for operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.history.contract import HISTORIAN, TIMEOUT_S, HistorianContract
from actors.runtime import remote

if TYPE_CHECKING:
    from actors.history.contract import HistoryState


async def state() -> HistoryState:
    """How far the historian is.

    Raises:
        Unavailable: there is none, or it does not answer.
    """
    return await remote.proxy(HistorianContract, HISTORIAN, timeout_s=TIMEOUT_S).state()
