"""How far the shop's clock is off the chain's, as far as a chain's newest block can tell.

A block is never from the future, so a clock that is behind it is behind for certain. A clock that
is ahead of it by more than a sound API's newest block may lag is ahead, or the API is not sound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.payments.chains.money import Network

if TYPE_CHECKING:
    from collections.abc import Mapping

HEAD_LAG_MS: Final[Mapping[Network, int]] = {Network.TRON: 60_000, Network.TON: 15_000}
"""By how much a newest block may be older than now: on TRON the solid one, 19 blocks of 3 s ago."""
WARN_MS: Final = 30_000  # from here on a person is told
TOLERATED_MS: Final = 120_000
"""Up to here a payment is taken for one of an order though it seems older than the order; beyond,
nothing expires."""


def skew_ms(network: Network, head_ms: int, now_ms: int) -> int:
    """The least that the clock must be off, ms: above 0 it is behind the chain, below 0 ahead.

    Args:
        network: the chain.
        head_ms: time of its newest block, ms; 0 if it is not known, which tells nothing.
        now_ms: time of the clock, ms, right after that was asked.
    """
    if not head_ms:
        return 0
    if head_ms >= now_ms:
        return head_ms - now_ms
    return min(0, head_ms + HEAD_LAG_MS[network] - now_ms)
