"""Bounded mailboxes: which of many messages still find room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def admit(owner: NDArray[np.int32], room: NDArray[np.int64]) -> NDArray[np.bool_]:
    """First come, first served.

    Args:
        owner: [n], whose mailbox each message needs, in order of arrival.
        room: [n_owners], places left in each mailbox.

    Returns:
        bool [n]: the messages admitted.
    """
    if not len(owner):
        return np.zeros(0, bool)
    counts = np.bincount(owner, minlength=len(room))
    if (counts <= room).all():
        return np.ones(len(owner), bool)
    order = np.argsort(owner, kind="stable")
    sorted_owner = owner[order]
    first = np.flatnonzero(np.r_[True, sorted_owner[1:] != sorted_owner[:-1]])
    sizes = np.diff(np.r_[first, len(owner)])
    rank = np.arange(len(owner)) - np.repeat(first, sizes)
    admitted = np.empty(len(owner), bool)
    admitted[order] = rank < room[sorted_owner]
    return admitted
