"""The options by which commands say how a map is to be read, each with one wording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NoVpn = Annotated[bool, typer.Option("--no-vpn", help="Without the VPN links of the map.")]
AllComponents = Annotated[
    bool, typer.Option("--all-components", help="Keep more than the largest component.")
]
Quality = Annotated[
    str | None,
    typer.Option(
        metavar="auto|tq|babel|throughput",
        help="What the map's qualities are. Default: auto, told by their values.",
    ),
]
SourcesFile = Annotated[
    Path | None, typer.Option(metavar="FILE.toml", help="And the sources of this file.")
]
