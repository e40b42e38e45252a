"""What an operator may ask of the alerts' actor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.alerts.contract import ALERTS, TEST_TIMEOUT_S, TIMEOUT_S, AlertsContract
from actors.runtime import remote

if TYPE_CHECKING:
    from actors.alerts.contract import AlertStatus, Silence, SilenceRequest, TestDelivery
    from actors.runtime.actor_health import ActorHealth


async def health() -> ActorHealth:
    """State of the actor, and the reason if it is not ready or cannot tell anybody.

    Raises:
        Unavailable: there is no such actor, or it does not answer.
    """
    return await _actor().health()


async def resolve(fingerprint: str, by: str) -> AlertStatus:
    """See `AlertsContract.resolve`.

    Raises:
        UnknownAlert: none that is kept has this fingerprint.
        AlertOver: it is over already.
        InvalidInput: several begin so.
        Unavailable: there is no such actor, or it does not answer.
    """
    return await _actor().resolve(fingerprint, by)


async def acknowledge(fingerprint: str, by: str) -> AlertStatus:
    """See `AlertsContract.acknowledge`.

    Raises:
        UnknownAlert: none that is kept has this fingerprint.
        AlertOver: it is over.
        AlreadyAcknowledged: somebody has said so before.
        InvalidInput: several begin so.
        Unavailable: there is no such actor, or it does not answer.
    """
    return await _actor().acknowledge(fingerprint, by)


async def silence(request: SilenceRequest) -> Silence:
    """See `AlertsContract.silence`.

    Raises:
        InvalidInput: it cannot be meant.
        Conflict: there are too many.
        Unavailable: there is no such actor, or it does not answer.
    """
    return await _actor().silence(request)


async def unsilence(silence: str) -> Silence:
    """See `AlertsContract.unsilence`.

    Raises:
        UnknownSilence: there is none of this id.
        Unavailable: there is no such actor, or it does not answer.
    """
    return await _actor().unsilence(silence)


async def test(by: str) -> tuple[TestDelivery, ...]:
    """See `AlertsContract.test`.

    Raises:
        Unavailable: there is no such actor, or it does not answer.
    """
    return await _actor(TEST_TIMEOUT_S).test(by)


def _actor(timeout_s: float = TIMEOUT_S) -> AlertsContract:
    return remote.proxy(AlertsContract, ALERTS, timeout_s=timeout_s)
