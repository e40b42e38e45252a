"""The mesh that figures are taken on: the published map of Leipzig, else a made-up mesh.

With its VPN: four servers join the islands of radio, the largest of which has 68 nodes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from actors.topology import radio_spec
from serve_apps.settings import Settings

MAP: Final = Path(__file__).parents[2] / "shared/data/topologies/freifunk-leipzig.meshviewer.json"
STAND_IN: Final = f"{radio_spec.PREFIX}144"


def settings(other: str | None = None, *, vpn: bool = True, **overrides: object) -> Settings:
    """Settings of a mesh on it: 144 nodes and 290 links, also the stand-in.

    Args:
        other: source of another topology to use instead.
        vpn: whether vpn links of the other topology are used.
        overrides: further settings.
    """
    if other is None:
        other, vpn = str(MAP) if MAP.is_file() else STAND_IN, True
    return Settings.load(topology=other, vpn=vpn, **overrides)
