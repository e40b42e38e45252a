"""The settings of the mesh."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from actors.mesh.contract import MAX_SHARDS
from actors.runtime.settings import RuntimeSettings


class MeshSettings(RuntimeSettings):
    """Which network is represented, by how many processes, and how they work."""

    topology: str = Field(
        "radio:144", min_length=1, max_length=4096, description="path, http(s) URL or radio:N"
    )
    vpn: bool = Field(default=True, description="keep vpn links of the map")
    all_components: bool = Field(
        default=False, description="keep more than the largest component of the map"
    )
    quality: Literal["auto", "tq", "babel", "throughput"] = Field(
        default="auto", description="what the qualities of a meshviewer map are; auto: by values"
    )
    refresh_s: float = Field(30.0, ge=1, le=86400, description="seconds between polls of a URL")
    shards: int = Field(2, ge=1, le=MAX_SHARDS, description="processes that host mesh nodes")
    hello_s: float = Field(1.0, ge=0.05, le=60, description="seconds between two Hellos")
    feedback: bool = Field(
        default=True, description="take unacknowledged frames as a sign of a dead neighbour"
    )
    mailbox_capacity: int = Field(65_536, ge=1, le=2**24, description="messages a node may hold")
    journal_max_bytes: int = Field(
        256 * 2**20, ge=64 * 2**10, le=16 * 2**30, description="journal size before a snapshot"
    )
