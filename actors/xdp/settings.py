"""The settings of XDP."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from actors.runtime.settings import AbsolutePath, RuntimeSettings


class XdpSettings(RuntimeSettings):
    """Where attachments are pinned."""

    xdp_bpffs: AbsolutePath = Field(
        Path("/sys/fs/bpf"), description="mount point of the BPF file system for pins"
    )
