"""How settings and flags become the options of a mesh.

Invariants: a path in the options is absolute, because actors run in other working directories;
the journal directory is a function of everything that decides which node has which index, so that
journals, which speak of nodes by index, never meet another topology.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from actors.mesh.contract import HostOptions, MeshOptions, ShardOptions
from actors.mesh.live_source import LiveSource
from actors.topology import radio
from actors.topology.fetch import is_url, shown
from actors.twin.contract import TwinOptions
from jobs.launch.record import journals

if TYPE_CHECKING:
    from actors.runtime.flags import Flags
    from serve_apps.settings import Settings

NEVER_S: Final = 100 * 365 * 86400.0  # between polls when MINIMAL asks for none
_SLUG_LENGTH: Final = 40
_DIGEST_LENGTH: Final = 12  # hex digits


def absolute(topology: str) -> str:
    """The source of a topology, with a path made absolute."""
    if topology.startswith(radio.PREFIX) or is_url(topology):
        return topology
    return str(Path(topology).expanduser().absolute())


def mesh_options(settings: Settings, flags: Flags) -> MeshOptions:
    """What to start a mesh with."""
    return MeshOptions(
        topology=absolute(settings.topology),
        vpn=settings.vpn,
        all_components=settings.all_components,
        quality=settings.quality,
        refresh_s=NEVER_S if flags.minimal else settings.refresh_s,
        shards=settings.shards,
        failover=flags.failover,
        minimal=flags.minimal,
        shard=ShardOptions(
            host=HostOptions(
                hello_s=settings.hello_s,
                feedback=settings.feedback,
                failover=flags.failover,
                seed=settings.seed,
                journal_max_bytes=settings.journal_max_bytes,
            ),
            mailbox_capacity=settings.mailbox_capacity,
            directory=journal_directory(settings),
            log_level=settings.log_level,
        ),
    )


def twin_options(options: MeshOptions) -> TwinOptions:
    """What to start the twin of a mesh with."""
    return TwinOptions(
        source=LiveSource(),
        hello_s=options.shard.host.hello_s,
        log_level=options.shard.log_level,
    )


def journal_directory(settings: Settings) -> Path:
    """Where the mesh of these settings keeps its journals and its membership."""
    source = absolute(settings.topology)
    identity = json.dumps([source, settings.vpn, settings.all_components, settings.shards])
    digest = hashlib.sha256(identity.encode()).hexdigest()[:_DIGEST_LENGTH]
    # The slug is for a person; a URL enters it without credentials.
    name = shown(source).removesuffix("/").rpartition("/")[2]
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:_SLUG_LENGTH].strip("-")
    return journals(settings.state_dir) / f"{slug or 'mesh'}-{digest}"
