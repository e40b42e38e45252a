"""How long a shard pauses, so that messages which arrive meanwhile are processed together.

A turn has a high fixed cost and a low cost per message, so no other turn follows at once. Refusing
messages takes processor time from the delivery of accepted ones, so a call with refusals is
answered later: offered twice its capacity, a mesh then still delivers three quarters of it
(`python -m loadtests.overload`).
"""

from __future__ import annotations

from typing import Final

REST: Final = 2.0  # pause after a turn, as a multiple of its length
LONGEST_REST_S: Final = 0.004
REFUSAL_REST: Final = 4.0  # pause after a call with refusals, as a multiple of its length
LONGEST_REFUSAL_REST_S: Final = 0.02


def rest_after_turn_s(length_s: float) -> float:
    """The pause after a turn of this length, s."""
    return min(REST * length_s, LONGEST_REST_S)


def rest_after_send_s(length_s: float, *, refused: bool) -> float:
    """The pause after a call of `send` of this length, s."""
    return min(REFUSAL_REST * length_s, LONGEST_REFUSAL_REST_S) if refused else 0.0
