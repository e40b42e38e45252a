"""Helpers for the graph's arrays: read-only arrays, and sets as boolean masks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_Array = TypeVar("_Array", bound="NDArray[Any]")


def read_only(array: _Array) -> _Array:
    """Make an array refuse writes, and return it."""
    array.setflags(write=False)
    return array


def as_mask(members: ArrayLike, size: int) -> NDArray[np.bool_]:
    """Turn indices, or a mask, into a new boolean mask [size].

    Raises:
        IndexError: an index is outside 0..size-1, or a mask is not `size` long.
    """
    given = np.asarray(members)
    if given.dtype == np.bool_:
        if given.shape != (size,):
            raise IndexError(f"a mask of shape ({size},) was expected, not {given.shape}")
        return given.copy()
    mask = np.zeros(size, dtype=np.bool_)
    if given.size:
        if not np.issubdtype(given.dtype, np.integer):
            raise IndexError(f"indices or a boolean mask were expected, not {given.dtype}")
        if given.min() < 0 or given.max() >= size:
            raise IndexError(f"indices must be in 0..{size - 1}, got {given.min()}..{given.max()}")
        mask[given] = True
    return mask
