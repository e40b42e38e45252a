"""Asking a running sandbox for transactions, confirmations and faults.

Invariant: nothing is ever sent to a host that is not this machine, or to a server there that is no
sandbox.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

import httpx

from actors.payments.chains.api import is_here
from actors.payments.sandbox.app import NAME
from actors.runtime.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.payments.chains.money import Network
    from actors.payments.sandbox.faults import FaultPlan
    from actors.payments.sandbox.kinds import Payment

TIMEOUT_S: Final = 30.0


class SandboxClient:
    """A running sandbox; close it, or use it as a context manager.

    Args:
        url: URL of the sandbox, or any URL below it, such as `X0TTA6BL4_TRON_API_URL`.

    Raises:
        InvalidInput: there is something else.
        Unavailable: nothing answers there.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if not is_here(parts.hostname or ""):
            raise InvalidInput(
                f"{url} is no sandbox",
                "a sandbox is on this machine",
                "Use the environment that `x0 pay sandbox` prints.",
            )
        base = f"{parts.scheme}://{parts.netloc}"
        self._http = httpx.Client(base_url=base, timeout=TIMEOUT_S, trust_env=False)
        try:
            self._check()
        except BaseException:
            self._http.close()
            raise

    def _check(self) -> None:
        try:
            answer = self._http.get("/sandbox")
            found = answer.json() if answer.is_success else {}
        except ValueError:
            found = {}
        except httpx.TransportError as error:
            raise _gone(error, self._http) from None
        if not isinstance(found, dict) or found.get("name") != NAME:
            raise InvalidInput(
                f"{self._http.base_url} is no sandbox",
                "it does not say that it is one",
                "Use the environment that `x0 pay sandbox` prints.",
            )

    def state(self) -> dict[str, Any]:
        """See `Sandbox.state`."""
        return self._ask("GET", "/sandbox", None)

    def pay(self, payments: Sequence[Payment]) -> list[list[str]]:
        """Pay; of each, the ids of its transactions.

        Raises:
            InvalidInput: the sandbox refuses one, and does none.
        """
        bodies = [
            {
                "method": one.method,
                "kind": one.kind,
                "to": one.to,
                "amount": one.amount,
                "comment": one.comment,
                "sender": one.sender,
                "not_before_ms": one.not_before_ms,
            }
            for one in payments
        ]
        made: list[list[str]] = self._ask("POST", "/sandbox/payments", bodies)["transactions"]
        return made

    def confirm(self, tx_id: str | None = None) -> list[str]:
        """Confirm what is unconfirmed, or one of it; which transactions that were."""
        answer = self._ask("POST", "/sandbox/confirm", {"tx_id": tx_id})
        confirmed: list[str] = answer["transactions"]
        return confirmed

    def spoil(self, network: Network, plan: FaultPlan) -> dict[str, Any]:
        """Have the answers of a network's API spoilt; the sandbox's state after that."""
        body = {
            "shares": {str(fault): share for fault, share in plan.shares.items()},
            "next": [str(fault) for fault in plan.next],
            "slow_s": plan.slow_s,
        }
        return self._ask("PUT", f"/sandbox/faults/{network}", body)

    def _ask(self, method: str, path: str, body: object) -> dict[str, Any]:
        try:
            answer = self._http.request(method, path, json=body)
        except httpx.TransportError as error:
            raise _gone(error, self._http) from None
        if answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR:
            raise Unavailable(
                "the sandbox failed",
                f"it answered {answer.status_code} to {path}",
                "Its own output says why.",
                retry_after_s=0.0,
            )
        told = answer.json()
        if answer.is_success:
            found: dict[str, Any] = told
            return found
        if "what" in told:
            raise InvalidInput(told["what"], told["why"], told["remedy"])
        first = told["detail"][0]
        where = ".".join(str(step) for step in first["loc"][1:])
        raise InvalidInput(
            "the sandbox refuses what it was asked", f"{where}: {first['msg']}", "Correct it."
        )

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


def _gone(error: httpx.TransportError, client: httpx.Client) -> Unavailable:
    return Unavailable(
        f"no sandbox answers at {client.base_url}",
        str(error) or type(error).__name__,
        "Start one with `x0 pay sandbox`, and use the environment that it prints.",
        retry_after_s=0.0,
    )
