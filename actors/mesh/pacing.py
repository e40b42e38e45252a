"""How long a shard rests, so that what arrives meanwhile is dealt with together.

A turn costs much by itself and little for each message, so no other turn follows at once. Refusing
messages takes time that what was accepted before would need to arrive, so who is refused is
answered later: at twice its capacity a mesh then still delivers three quarters of it
(`python -m loadtests.overload`).
"""

from __future__ import annotations

from typing import Final

REST: Final = 2.0  # after a turn, in times of its length
LONGEST_REST_S: Final = 0.004
REFUSAL_REST: Final = 4.0  # after a call of which something was refused, in times of its length
LONGEST_REFUSAL_REST_S: Final = 0.02


def rest_after_turn_s(length_s: float) -> float:
    """The pause after a turn of this length, s."""
    return min(REST * length_s, LONGEST_REST_S)


def rest_after_send_s(length_s: float, *, refused: bool) -> float:
    """The pause after a call of `send` of this length, s."""
    return min(REFUSAL_REST * length_s, LONGEST_REFUSAL_REST_S) if refused else 0.0
