"""How settings and flags become the options of a mesh.

Invariants: a path in the options is absolute, because actors run in other working directories;
the journal directory is a function of everything that decides which node has which index, so that
journals, which speak of nodes by index, never meet another topology. The directory of what is known
of an observed network is a function of its sources alone.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from actors.mesh.contract import HostOptions, MeshOptions, ShardOptions
from actors.mesh.live_source import LiveSource
from actors.observe.contract import ObserverOptions
from actors.observe.observed_source import ObservedSource
from actors.runtime.errors import ConfigurationError
from actors.runtime.settings import variable
from actors.topology import radio_spec
from actors.topology.fetch import is_url, shown
from actors.twin.contract import TwinOptions
from jobs.launch.record import journals, observations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.identity.guard_maker import IdentityGuards
    from actors.observe.contract import ReadingSource
    from actors.runtime.flags import Flags
    from serve_apps.settings import Settings

NEVER_S: Final = 100 * 365 * 86400.0  # between polls when MINIMAL asks for none
_SLUG_LENGTH: Final = 40
_DIGEST_LENGTH: Final = 12  # hex digits


def absolute(topology: str) -> str:
    """The source of a topology, with a path made absolute."""
    if topology.startswith(radio_spec.PREFIX) or is_url(topology):
        return topology
    return str(Path(topology).expanduser().absolute())


def mesh_options(
    settings: Settings, flags: Flags, observe: Sequence[ReadingSource] = ()
) -> MeshOptions:
    """What to start a mesh with: one of the topology, or of the network of some sources."""
    return MeshOptions(
        topology=names_of(observe) if observe else absolute(settings.topology),
        observed=ObservedSource() if observe else None,
        vpn=settings.vpn,
        all_components=settings.all_components,
        quality=settings.quality,
        refresh_s=NEVER_S if flags.minimal else settings.refresh_s,
        shards=settings.shards,
        failover=flags.failover,
        minimal=flags.minimal,
        pqc_beacons=flags.pqc_beacons,
        shard=ShardOptions(
            host=HostOptions(
                hello_s=settings.hello_s,
                feedback=settings.feedback,
                failover=flags.failover,
                seed=settings.seed,
                journal_max_bytes=settings.journal_max_bytes,
                liars=settings.byzantine_faults if flags.byzantine else 0,
            ),
            mailbox_capacity=settings.mailbox_capacity,
            directory=journal_directory(settings, observe),
            log_level=settings.log_level,
            guard=identity_guards(settings, flags),
        ),
    )


def identity_guards(settings: Settings, flags: Flags) -> IdentityGuards | None:
    """What the shards of a mesh have to prove; None: nothing."""
    if not flags.pqc_beacons and not flags.byzantine:
        return None
    from actors.identity.guard_maker import IdentityGuards
    from actors.identity.signed_beacons import BeaconOptions

    beacons = BeaconOptions(epoch_s=settings.beacon_epoch_s, skew_s=settings.beacon_skew_s)
    return IdentityGuards(
        pqc=beacons if flags.pqc_beacons else None,
        liars=settings.byzantine_faults if flags.byzantine else 0,
        hello_s=settings.hello_s,
    )


def twin_options(options: MeshOptions) -> TwinOptions:
    """What to start the twin of an emulated mesh with."""
    return TwinOptions(
        source=LiveSource(),
        hello_s=options.shard.host.hello_s,
        log_level=options.shard.log_level,
    )


def observer_options(
    settings: Settings, flags: Flags, observe: Sequence[ReadingSource]
) -> ObserverOptions:
    """What to start an observer of some sources with.

    Raises:
        ConfigurationError: nothing is to be beside a mesh, an observer neither.
    """
    if flags.minimal:
        raise ConfigurationError(
            "no network can be observed",
            f"{variable('minimal')} means an emulated mesh alone",
            "Unset it.",
            variable=variable("minimal"),
        )
    return ObserverOptions(
        sources=tuple(observe),
        directory=_named_directory(
            observations(settings.state_dir), observe[0].name, [source.name for source in observe]
        ),
        poll_s=settings.observe_poll_s,
        rules=settings.observer_rules(),
        log_level=settings.log_level,
    )


def journal_directory(settings: Settings, observe: Sequence[ReadingSource] = ()) -> Path:
    """Where the mesh of these settings keeps its journals and its membership."""
    source = names_of(observe) if observe else absolute(settings.topology)
    # A URL enters the name without credentials.
    shown_as = observe[0].name if observe else shown(source)
    identity = [source, settings.vpn, settings.all_components, settings.shards]
    return _named_directory(journals(settings.state_dir), shown_as, identity)


def _named_directory(parent: Path, shown_as: str, identity: list[object]) -> Path:
    """A directory for whatever `identity` is, with a slug for a person."""
    digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:_DIGEST_LENGTH]
    name = shown_as.removesuffix("/").rpartition("/")[2]
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:_SLUG_LENGTH].strip("-")
    return parent / f"{slug or 'mesh'}-{digest}"


def names_of(observe: Sequence[ReadingSource]) -> str:
    """What logs and records call some sources."""
    return ", ".join(source.name for source in observe)
