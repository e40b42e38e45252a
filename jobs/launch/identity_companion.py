"""The actors that hold the identities of hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.identity.contract import (
    IDENTITY,
    EmbeddedOptions,
    IdentityOptions,
    identity_actor,
)
from jobs.launch.companion import Companion, Stage

if TYPE_CHECKING:
    from jobs.launch.companion import Plan
    from serve_apps.settings import Settings


class IdentityCompanion(Companion):
    """One actor on each host that has a Workload API; without any, one that is its own."""

    name = IDENTITY
    off = "no identities (X0TTA6BL4_IDENTITY=0, or X0TTA6BL4_MINIMAL)"
    stage = Stage.BEHIND  # nobody waits for it

    def wanted(self, plan: Plan) -> bool:
        """Unless it is switched off."""
        return plan.settings.identity

    def prepare(self, plan: Plan) -> Plan:
        """Check the address of the Workload API.

        Raises:
            ConfigurationError: it is none, or there is no place for a socket.
        """
        plan.settings.identity_endpoint()
        return plan

    def start(self, plan: Plan) -> None:
        """Start the actors, each on its host and nowhere else."""
        from actors.identity.actor import IdentityActor
        from actors.runtime import spawn

        # An agent is expected on every host; an authority of one's own is on the head's alone.
        hosts = spawn.hosts() if plan.settings.identity_socket else spawn.head()
        for host, node in hosts.items():
            options = identity_options(plan.settings, host)
            spawn.detached(IdentityActor, identity_actor(host), options, node=node)

    def owns(self, actor: str) -> bool:
        """There is one for each host."""
        return actor.startswith(f"{IDENTITY}-")


def identity_options(settings: Settings, host: str) -> IdentityOptions:
    """What the actor of a host is started with.

    Raises:
        ConfigurationError: the address of the Workload API is none.
    """
    embedded = EmbeddedOptions(
        settings.identity_directory,
        settings.identity_trust_domain,
        settings.identity_svid_s,
        settings.identity_jwt_s,
    )
    return IdentityOptions(
        host,
        settings.identity_endpoint(),
        settings.log_level,
        settings.identity_renewal_threshold,
        None if settings.identity_socket else embedded,
    )
