"""The gateway as a companion of a session that has a cluster of its own."""

from __future__ import annotations

import http.client
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from jobs.launch import gateway_client
from jobs.launch.companion import OFF, READY, Companion, Stage, State

if TYPE_CHECKING:
    from jobs.launch.companion import Plan, Seen, Wait
    from serve_apps.settings import Settings

NAME: Final = "gateway"


def url(settings: Settings) -> str:
    """Where the gateway of these settings answers, once its port has been chosen."""
    return f"http://{settings.gateway_host}:{settings.gateway_port}"


def state(url: str) -> State:
    """Whether the gateway at this URL answers now and can be used."""
    return readiness(NAME, url)


def readiness(name: str, url: str, missing: State | None = None) -> State:
    """Whether an application of Serve answers now and can be used.

    Args:
        name: of the companion that it is.
        url: under which it has its routes.
        missing: how it is if there is no such application at the URL.
    """
    try:
        status, answer = gateway_client.get(f"{url}/readyz")
        if status == http.client.OK:
            return State(name, READY, str(dict(answer).get("why", "")))
        if status == http.client.NOT_FOUND and missing is not None:
            return missing
        return State(name, "not ready", str(answer["detail"]))
    except (OSError, http.client.HTTPException) as error:
        return State(name, f"no answer ({type(error).__name__})")
    except (ValueError, LookupError, TypeError):
        return State(name, f"no answer of {name}")


class GatewayCompanion(Companion):
    """HTTP beside the mesh. On a cluster of others it is deployed by `serve deploy` instead."""

    name = NAME
    off = "not opened under X0TTA6BL4_MINIMAL, nor on a cluster that `x0` did not start"
    stage = Stage.BESIDE

    def wanted(self, plan: Plan) -> bool:
        """Only on a cluster of the session's own."""
        return plan.own_cluster

    def prepare(self, plan: Plan) -> Plan:
        """Choose the port, and check the one for mutual TLS.

        Raises:
            ConfigurationError: it is taken, the address is not one of this host, or there are no
                identities for mutual TLS.
        """
        from jobs.launch import gateway_opening
        from serve_apps.gateway.settings import GatewayOptions

        mtls = GatewayOptions.of(plan.settings).mtls
        if mtls is not None:
            gateway_opening.check_mtls(mtls)
        return replace(plan, settings=gateway_opening.with_port(plan.settings))

    def start(self, plan: Plan) -> Wait:
        """Have the cluster open it; what is returned waits until it is ready."""
        from jobs.launch import gateway_opening

        return gateway_opening.begin(plan.settings, plan.networks).wait

    def states(self, seen: Seen) -> tuple[State, ...]:
        """It is no actor of the namespace, so it is asked itself."""
        if not seen.gateway_url:
            return (State(self.name, OFF, self.off),)
        return (self.by_answer(seen, state(seen.gateway_url)),)
