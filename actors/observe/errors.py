"""The errors of the observer.

X0Error
└── ObserverStateUnreadable  500  what it has stored cannot be read
"""

# ruff: noqa: N818 - an error is named by its condition, as an operator would say it

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.runtime.errors import X0Error

if TYPE_CHECKING:
    from pathlib import Path


class ObserverStateUnreadable(X0Error):
    """The file at `path` holds no state of the observer that this version can read."""

    path: str

    def __init__(self, path: str | Path, why: str) -> None:
        super().__init__(
            f"the state of the observer in {path} cannot be read",
            why,
            "Move the file away to start with no members, or restore it from a copy.",
            path=str(path),
        )
