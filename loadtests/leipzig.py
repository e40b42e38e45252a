"""The mesh that figures are taken on: the published map of Leipzig, else a made-up mesh."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from actors.runtime.settings import Settings
from actors.topology import radio

MAP: Final = Path(__file__).parents[2] / "shared/data/topologies/freifunk-leipzig.meshviewer.json"
STAND_IN: Final = f"{radio.PREFIX}144"


def topology() -> str:
    """The source of the topology."""
    return str(MAP) if MAP.is_file() else STAND_IN


def settings(**overrides: object) -> Settings:
    """Settings of a mesh on it, without vpn links: 144 nodes and 290 links, also the stand-in."""
    return Settings.load(topology=topology(), vpn=False, **overrides)


def settings_or(other: str | None, *, vpn: bool, **overrides: object) -> Settings:
    """The same, or those of a mesh on another topology, with or without its vpn links."""
    if other is None:
        return settings(**overrides)
    return Settings.load(topology=other, vpn=vpn, **overrides)
