"""The actors that own XDP, one on each host of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.xdp.contract import XDP, XdpOptions
from jobs.launch import record
from jobs.launch.companion import Companion, Stage

if TYPE_CHECKING:
    from jobs.launch.companion import Plan


class XdpCompanion(Companion):
    """One actor on each host, also on one that joins later.

    It attaches nothing unless a setting or a command says so.
    """

    name = XDP
    off = "not owned (X0TTA6BL4_XDP=0, or X0TTA6BL4_MINIMAL)"
    stage = Stage.BEHIND  # nobody waits for it

    def wanted(self, plan: Plan) -> bool:
        """Unless it is switched off."""
        return plan.settings.xdp

    def start(self, plan: Plan) -> None:
        """Start the actors of the hosts that there are; these start those of hosts that join."""
        from actors.xdp import hosts
        from actors.xdp.actor import XdpActor

        hosts.complete(XdpActor, xdp_options(plan))

    def owns(self, actor: str) -> bool:
        """There is one for each host."""
        return actor.startswith(f"{XDP}-")


def xdp_options(plan: Plan) -> XdpOptions:
    """What the actor of each host is started with, but for the name of the host."""
    from actors.xdp.hosts import LOOK_S

    settings = plan.settings
    return XdpOptions(
        "",
        tuple(settings.xdp_interfaces.split(",")) if settings.xdp_interfaces else (),
        settings.xdp_mode,
        settings.xdp_pin,
        str(settings.xdp_bpffs),
        settings.log_level,
        str(record.owners(settings.state_dir)),
        f"{settings.namespace} {plan.began_at!r}",
        backend=settings.xdp_backend,
        hosts_s=LOOK_S,
    )
