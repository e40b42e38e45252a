"""Asks about alerts, from a job, a notebook or Serve alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.alerts.contract import ALERTS, MOST_LISTED, TIMEOUT_S, AlertsContract
from actors.runtime import remote

if TYPE_CHECKING:
    from actors.alerts.contract import AlertStatus, ChannelHealth, Silence


async def active() -> tuple[AlertStatus, ...]:
    """See `AlertsContract.active`.

    Raises:
        Unavailable: there is no such actor, or it does not answer.
    """
    return await _actor().active()


async def recent(since: float, most: int = MOST_LISTED) -> tuple[AlertStatus, ...]:
    """See `AlertsContract.recent`.

    Raises:
        InvalidInput: `most` is out of range.
        Unavailable: there is no such actor, or it does not answer.
    """
    return await _actor().recent(since, most)


async def silences() -> tuple[Silence, ...]:
    """See `AlertsContract.silences`.

    Raises:
        Unavailable: there is no such actor, or it does not answer.
    """
    return await _actor().silences()


async def channels() -> tuple[ChannelHealth, ...]:
    """See `AlertsContract.channels`.

    Raises:
        Unavailable: there is no such actor, or it does not answer.
    """
    return await _actor().channels()


def _actor() -> AlertsContract:
    return remote.proxy(AlertsContract, ALERTS, timeout_s=TIMEOUT_S)
