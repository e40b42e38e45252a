"""The setting of the protection against lying nodes, which the flag BYZANTINE switches on."""

from __future__ import annotations

from pydantic import Field

from actors.runtime.settings import RuntimeSettings


class ByzantineSettings(RuntimeSettings):
    """How many nodes may lie."""

    byzantine_faults: int = Field(
        1, ge=1, le=8, description="lying nodes that the mesh withstands, with BYZANTINE"
    )
