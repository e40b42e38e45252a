"""Parameters that several routes share."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

NodeId = Annotated[str, Path(min_length=1, max_length=256, examples=["n0001"])]
