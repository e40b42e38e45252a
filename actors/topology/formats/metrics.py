"""What the figure of a link says about delivery, by the metric it belongs to.

A quality is a delivery probability in [0, 1]. A cost about both directions together, such as ETX =
1 / (d_f * d_r) (De Couto et al., MobiCom 2003), gives each direction the square root.
"""

from __future__ import annotations

import math
from typing import Final

TQ: Final = "tq"  # batman-adv: share of 255, of one direction
ETX: Final = "etx"
BABEL: Final = "babel"  # RFC 8966: 256 is one transmission
THROUGHPUT: Final = "throughput"  # BATMAN_V: says nothing about delivery

TQ_MAX: Final = 255
BABEL_UNIT: Final = 256  # cost of a link that needs one transmission (RFC 8966, appendix A.2.2)
BABEL_INFINITY: Final = 0xFFFF  # RFC 8966, section 2.1
OLSR_INFINITY: Final = 4 * 1024 * 1024  # LINK_COST_BROKEN of olsrd
_ROUNDING: Final = 0.01  # a figure that is too good by this share is a perfect link


def of_etx(cost: float) -> float | None:
    """Quality of each direction for an ETX; None for what is no ETX."""
    return math.sqrt(1 / max(cost, 1.0)) if cost >= 1 - _ROUNDING else None


def of_wired_etx(cost: float) -> float | None:
    """The same for the variants of olsrd that give cable 0.1: less than 1 is no loss."""
    return math.sqrt(1 / max(cost, 1.0)) if cost > 0 else None


def of_inverse_tq(cost: float) -> float | None:
    """Quality of one direction for 255 / TQ, as batadv-vis and old maps give it."""
    return 1 / max(cost, 1.0) if cost >= 1 - _ROUNDING else None


def of_tq(tq: float) -> float | None:
    """Quality of one direction for a TQ in 0..255."""
    return tq / TQ_MAX if 0 <= tq <= TQ_MAX else None


def of_babel(cost: float) -> float | None:
    """Quality of each direction for the cost of a Babel link; cable costs less than 256."""
    if cost >= BABEL_INFINITY:
        return 0.0
    return math.sqrt(BABEL_UNIT / max(cost, BABEL_UNIT)) if cost > 0 else None


def of_babel_rxcost(cost: float) -> float | None:
    """Quality of one direction for the rxcost of the node that receives."""
    if cost >= BABEL_INFINITY:
        return 0.0
    return BABEL_UNIT / max(cost, BABEL_UNIT) if cost > 0 else None


AUTO: Final = "auto"
QUALITIES: Final = (AUTO, TQ, BABEL, THROUGHPUT)
"""What the qualities of a meshviewer map may be said to be; `auto` tells by their values."""

OVER_ONE: Final = 1e-3  # float32 and decimals: what is above 1 by more than this is no share
_THROUGHPUT_SHARE: Final = 0.1  # of values above 1, from which on they are throughputs
_COST_ERROR: Final = 0.004  # float32 between 0.5 and 1, times 65535


def recognise(values: list[float]) -> str:
    """What the qualities of a map that yanic wrote are: `TQ`, `BABEL` or `THROUGHPUT`.

    yanic divides TQ by 255. For Babel it writes 1 - cost / 65535. Under BATMAN_V the same division
    gives throughputs, most of which are far above 1. As 65535 is 257 * 255, each TQ is a possible
    Babel cost too, so those are told by values that are whole costs and no TQ.

    Args:
        values: all qualities of the map that are known and not 0.
    """
    over = sum(value > 1 + OVER_ONE for value in values)
    if values and over >= _THROUGHPUT_SHARE * len(values):
        return THROUGHPUT
    shares = [value for value in values if 0 < value < 1]
    costs = [babel_cost(value) for value in shares]
    if not all(abs(cost - round(cost)) <= _COST_ERROR and round(cost) >= 1 for cost in costs):
        return TQ
    steps = [value * TQ_MAX for value in shares]
    return BABEL if any(abs(step - round(step)) > OVER_ONE for step in steps) else TQ


def babel_cost(quality: float) -> float:
    """The Babel cost that yanic made a quality of."""
    return (1 - quality) * BABEL_INFINITY
