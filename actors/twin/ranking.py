"""By what failures are ranked: the clients or the nodes that lose every gateway, or pairs lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from actors.runtime.errors import InvalidInput
from actors.twin.limits import RANKS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.twin.internet import Internet

_COLUMN: Final = {"pairs": 0, "nodes": 1, "clients": 2}  # of the costs that `order` sorts


def rank(internet: Internet | None, asked: str | None) -> str:
    """What to rank by: what is asked for, or else the first of `RANKS` that is known.

    Raises:
        InvalidInput: what is asked for is not known of this mesh.
    """
    if asked == "pairs" or (internet is None and asked is None):
        return "pairs"
    if internet is None:
        raise _unknown(asked, "no gateway is known", "Name the gateways, or rank by pairs.")
    known = bool(internet.weights[2].any())
    if asked == "clients" and not known:
        raise _unknown(asked, "of no node is it known how many it has", "Rank by nodes or pairs.")
    return asked or (RANKS[0] if known else RANKS[1])


def costs(pairs: NDArray[np.int64], cut_off: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """Costs of k failures, int64 [4, k]: pairs, then the sums of `internet.weights` cut off."""
    return np.vstack([pairs, np.zeros((3, len(pairs)), np.int64) if cut_off is None else cut_off])


def order(cost: NDArray[np.int64], ranked_by: str) -> NDArray[np.intp]:
    """The failures that cost anything, costliest first; of equals, the first."""
    among = np.flatnonzero(cost.any(axis=0))
    first = _COLUMN[ranked_by]
    rest = [column for column in (2, 1, 0) if column != first]
    keys = [-cost[column, among] for column in (first, *rest)]
    return among[np.lexsort([among, *reversed(keys)])]


def _unknown(asked: str | None, why: str, remedy: str) -> InvalidInput:
    return InvalidInput(f"cannot rank by {asked}", why, remedy, entry="rank_by")
