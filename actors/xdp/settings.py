"""The settings of XDP."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from actors.runtime.settings import AbsolutePath, RuntimeSettings
from actors.xdp.contract import Backend, Mode

_INTERFACE = r"[^\s/,]{1,15}"


class XdpSettings(RuntimeSettings):
    """What the actor of each host attaches by itself, and where attachments are pinned."""

    xdp: bool = Field(default=True, description="whether an actor of each host owns XDP there")
    xdp_interfaces: str | None = Field(
        None,
        pattern=rf"^{_INTERFACE}(,{_INTERFACE}){{0,63}}$",
        description="interfaces of each host to which XDP is attached, with commas between them",
    )
    xdp_mode: Mode = Field(Mode.AUTO, description="mode in which XDP is attached to them")
    xdp_pin: bool = Field(
        default=False, description="whether XDP stays attached to them after the session's end"
    )
    xdp_backend: Backend = Field(
        Backend.LIBBPF,
        description="libbpf, which loads the program as shipped, or bcc, which compiles it here",
    )
    xdp_bpffs: AbsolutePath = Field(
        Path("/sys/fs/bpf"), description="mount point of the BPF file system for pins"
    )
