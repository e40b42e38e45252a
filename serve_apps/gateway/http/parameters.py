"""Paths and parameters that several routes share."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Path

from actors.runtime.ids import MAX_NODE_ID_LENGTH
from serve_apps.web.path_segments import SegmentText

V1: Final = "/v1"  # before all but health, metrics and downloads
NodeId = Annotated[
    SegmentText,
    Path(
        min_length=1,
        max_length=MAX_NODE_ID_LENGTH,
        description="id or name, percent-encoded, also a slash in it (%2F)",
        examples=["n0001"],
    ),
]
