"""Inference as a companion of a session: an application of its own beside the gateway."""

from __future__ import annotations

import contextlib
import http.client
import os
import time
from typing import TYPE_CHECKING, Final

from actors.runtime.errors import Unavailable
from jobs.launch import gateway_client, gateway_companion
from jobs.launch.companion import OFF, STARTER, Companion, Stage, State

if TYPE_CHECKING:
    from actors.topology.provenance import Network
    from jobs.launch.companion import Plan, Seen, Wait
    from jobs.launch.readiness import Progress
    from serve_apps.settings import Settings

NAME: Final = "inference"
PATH: Final = "/inference"
_GATEWAY_S: Final = 300.0  # for the gateway, beside which it is started
_READY_S: Final = 600.0  # for the gateway, and then for inference itself
_POLL_S: Final = 0.5
_BEHIND: Final = 10  # niceness: nobody waits for it


def state(url: str) -> State:
    """Whether inference at the gateway of this URL can be used now."""
    missing = State(NAME, OFF, "not started, or not yet: X0TTA6BL4_INFERENCE=0 keeps it off")
    return gateway_companion.readiness(NAME, f"{url}{PATH}", missing)


class InferenceCompanion(Companion):
    """Scores, explanations and root causes over HTTP, where there is a gateway."""

    name = NAME
    off = "not wanted (X0TTA6BL4_INFERENCE=0), or there is no gateway"
    stage = Stage.LAST

    def wanted(self, plan: Plan) -> bool:
        """Where it is not switched off, on a cluster of the session's own."""
        return plan.own_cluster and plan.settings.inference

    def start(self, plan: Plan) -> Wait | None:
        """Have the cluster start it once the gateway answers. A mesh does not wait for it."""
        from actors.runtime import spawn

        url = gateway_companion.url(plan.settings)
        errand = spawn.run_once(
            _deploy, plan.settings.for_orders(), plan.networks, time.time(), url
        )

        def wait(progress: Progress) -> None:
            progress("waiting for inference")
            if why := errand.wait(_READY_S):
                raise Unavailable(
                    "inference is not ready",
                    why,
                    "`x0 status` names the directory of its log, in which it is `serve`.",
                    retry_after_s=5.0,
                )

        return wait if plan.mesh is None else None

    def states(self, seen: Seen) -> tuple[State, ...]:
        """It is no actor of the namespace, so it is asked itself."""
        if not seen.gateway_url:
            return (State(self.name, OFF, self.off),)
        return (self.not_there(seen) if STARTER in seen.actors else state(seen.gateway_url),)


def _deploy(settings: Settings, networks: tuple[Network, ...], began_at: float, url: str) -> None:
    os.nice(_BEHIND)
    # Serve is started by whoever opens the gateway, with its addresses.
    deadline = time.monotonic() + _GATEWAY_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            gateway_client.get(f"{url}/healthz")
            break
        time.sleep(_POLL_S)
    from serve_apps.inference.app import deploy

    deploy(settings, networks, began_at)
