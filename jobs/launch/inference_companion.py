"""Inference as a companion of a session: an application of its own beside the gateway."""

from __future__ import annotations

import http.client
import time
from typing import TYPE_CHECKING, Final

from jobs.launch import gateway_client, gateway_companion
from jobs.launch.companion import OFF, STARTING, Companion, Stage, State, StillStarting

if TYPE_CHECKING:
    from jobs.launch.companion import Plan, Seen, Wait
    from jobs.launch.readiness import Progress

NAME: Final = "inference"
PATH: Final = "/inference"
_GATEWAY_S: Final = 180.0  # for the gateway, beside which it is started
_POLL_S: Final = 0.5
_NO_GATEWAY: Final = "needs a gateway, and there is none"


class InferenceCompanion(Companion):
    """Scores, explanations and root causes over HTTP, where there is a gateway."""

    name = NAME
    off = "X0TTA6BL4_INFERENCE=0 keeps it off"
    stage = Stage.BEHIND

    def wanted(self, plan: Plan) -> bool:
        """Where it is not switched off, on a cluster of the session's own."""
        return plan.own_cluster and plan.settings.inference

    def start(self, plan: Plan) -> Wait:
        """What is returned starts it, once the gateway answers, and waits until it is ready."""

        def started(progress: Progress) -> None:
            progress("waiting for the gateway")
            _await_gateway(gateway_companion.url(plan.settings))
            progress("waiting for inference")
            from serve_apps.inference.app import deploy

            deploy(plan.settings, plan.networks, plan.began_at)

        return started

    def states(self, seen: Seen) -> tuple[State, ...]:
        """It is no actor of the namespace, so it is asked itself."""
        if not seen.gateway_url:
            return (State(self.name, OFF, _NO_GATEWAY),)
        # The gateway answers in its place as long as it has not been started.
        starting = State(self.name, STARTING, "it has not been started yet")
        missing = starting if self.name in seen.wanted else State(self.name, OFF, self.off)
        answer = gateway_companion.readiness(self.name, f"{seen.gateway_url}{PATH}", missing)
        return (self.by_answer(seen, answer),)


def _await_gateway(url: str) -> None:
    """Wait until whoever opens the gateway, with its addresses, has started Serve.

    Raises:
        StillStarting: it does not answer in time.
    """
    deadline = time.monotonic() + _GATEWAY_S
    while True:
        try:
            gateway_client.get(f"{url}/healthz")
        except (OSError, http.client.HTTPException, ValueError) as error:
            if time.monotonic() > deadline:
                raise StillStarting(
                    "inference is not started yet",
                    f"no answer of the gateway at {url} ({type(error).__name__})",
                    "`x0 status` names the directory of the logs, in which it is `serve`.",
                    retry_after_s=5.0,
                ) from error
        else:
            return
        time.sleep(_POLL_S)
