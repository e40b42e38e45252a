"""The HTTP gateway of a mesh that `x0 up` starts: opened on its cluster, beside the mesh.

Serve is started by a task of the cluster and not by this process: it takes seconds, during which
the mesh starts, and whatever interrupts it, all of it ends with the cluster. On a cluster of
another, Serve may be in use, so there the gateway is deployed by `serve deploy` instead.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from actors.runtime.errors import Unavailable
from actors.runtime.settings import variable
from actors.topology.provenance import Network
from cluster.ports import check_free
from cluster.ray_start import free_ports
from jobs.launch.companion import StillStarting
from jobs.launch.gateway_companion import url

if TYPE_CHECKING:
    import httpx

    from actors.runtime.spawn import Errand
    from jobs.launch.readiness import Progress
    from serve_apps.gateway.settings import MtlsOptions
    from serve_apps.settings import Settings

_READY_S: Final = 180.0  # Serve starts processes one after the other; a busy machine needs minutes
_POLL_S: Final = 0.1
_ANSWER_S: Final = 5.0


def with_port(settings: Settings) -> Settings:
    """The settings with the port that was asked for, or a free one.

    Raises:
        ConfigurationError: it is taken, or the address is not one of this host.
    """
    if not settings.gateway_port:
        return settings.model_copy(update={"gateway_port": free_ports(1)[0]})
    port, name = settings.gateway_port, variable("gateway_port")
    check_free("the gateway", settings.gateway_host, port, name)
    return settings


def check_mtls(mtls: MtlsOptions) -> None:
    """Refuse a port for mutual TLS that cannot be listened on.

    Raises:
        ConfigurationError: it is taken, or the address is not one of this host.
    """
    name = variable("gateway_mtls_port")
    check_free("the gateway over mutual TLS", mtls.host, mtls.port, name)


@dataclass(frozen=True, slots=True)
class Opening:
    """A gateway that is being opened.

    Attributes:
        url: where it will answer.
        errand: that opens it.
    """

    url: str
    errand: Errand

    def deployed(self) -> None:
        """Wait until the gateway answers, whatever the mesh does.

        Raises:
            StillStarting: it does not in time.
            Unavailable: it could not be opened; the error says why.
        """
        why = self.errand.wait(_READY_S)
        if why is None:
            raise _not_open(f"it is still being opened after {_READY_S:g} s", StillStarting)
        if why:
            raise _not_open(why)

    def wait(self, progress: Progress) -> None:
        """Wait until the gateway says that it is ready.

        Raises:
            StillStarting: it is not in time; the error says what it waits for.
            Unavailable: it could not be opened; the error says why.
        """
        import httpx

        progress("waiting for the gateway")
        deadline = time.monotonic() + _READY_S
        self.deployed()
        while True:
            try:
                answer = httpx.get(f"{self.url}/readyz", timeout=_ANSWER_S, trust_env=False)
                if answer.status_code == httpx.codes.OK or _opened(answer):
                    return
                why = answer.text
            except httpx.HTTPError as error:
                why = f"no answer at {self.url} ({type(error).__name__})"
            if time.monotonic() > deadline:
                raise _not_open(why, StillStarting)
            time.sleep(_POLL_S)


def _opened(answer: httpx.Response) -> bool:
    """Whether it works, and says that the observed network does not: that may take days."""
    try:
        kind = str(answer.json()["type"])
    except (ValueError, LookupError, TypeError):
        return False
    return kind.endswith(":NetworkNotWell")


def begin(settings: Settings, networks: tuple[Network, ...] = (Network.EMULATED,)) -> Opening:
    """Have the cluster that this process has joined open the gateway; return at once.

    Args:
        settings: of the gateway; its port has been chosen.
        networks: those of its session.
    """
    from actors.runtime import spawn

    return Opening(url(settings), spawn.run_once(_deploy, settings.for_orders(), networks))


def _deploy(settings: Settings, networks: tuple[Network, ...]) -> None:
    from serve_apps.gateway.app import deploy

    deploy(settings, settings.gateway_port, networks)


def _not_open(why: str, kind: type[Unavailable] = Unavailable) -> Unavailable:
    return kind(
        "the gateway is not ready",
        why,
        "`x0 status` names the directory of its log, in which it is `serve`.",
        retry_after_s=5.0,
    )
