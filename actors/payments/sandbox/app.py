"""The sandbox as an ASGI application.

    /tron/...         TronGrid
    /ton/v2/...       tonapi
    /ton/api/v2/...   toncenter
    /sandbox/...      what moves the chains, and spoils the answers above

In front of the APIs stand their limits and faults. Invariant: a fault spoils one answer and no
state, so whoever asks again gets the truth.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from actors.payments.chains import addresses
from actors.payments.chains.money import MAX_AMOUNT, Method, Network
from actors.payments.sandbox import chain_ton, kinds, tonapi, toncenter, trongrid
from actors.payments.sandbox.faults import ApiFaults, Fault, FaultPlan, Limit
from actors.payments.sandbox.kinds import Chains, Payment, PaymentKind
from actors.runtime.errors import InvalidInput, Unavailable, X0Error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

NAME: Final = "x0tta6bl4 payments sandbox"
LIMITS: Final[Mapping[Network, int]] = {Network.TRON: 15, Network.TON: 10}
"""Requests per second that the public APIs take with a key."""
MAX_PAYMENTS: Final = 1000  # of one call
MAX_TRANSACTIONS: Final = 100_000  # in memory


@dataclass(slots=True)
class Sandbox:
    """The chains, and how their APIs are.

    Attributes:
        chains: the two chains.
        faults: the faults of each network's API.
        limits: the rate limit of each network's API.
        requests: number of requests so far, by network.
        rng: draws what is drawn.
    """

    chains: Chains
    faults: dict[Network, ApiFaults]
    limits: dict[Network, Limit]
    rng: random.Random
    requests: dict[Network, int] = field(default_factory=lambda: dict.fromkeys(Network, 0))

    @classmethod
    def of(
        cls,
        chains: Chains,
        *,
        seed: int = 1,
        limits: Mapping[Network, int] = LIMITS,
        plans: Mapping[Network, FaultPlan] | None = None,
    ) -> Self:
        """A sandbox around `chains`.

        Args:
            chains: the chains to serve.
            seed: seed of all faults.
            limits: requests per second.
            plans: faults from the start, by network.
        """
        rng = random.Random(seed)
        given = plans or {}
        return cls(
            chains=chains,
            faults={one: ApiFaults(given.get(one, FaultPlan()), rng) for one in Network},
            limits={one: Limit(one, limits[one]) for one in Network},
            rng=rng,
        )

    def state(self) -> dict[str, Any]:
        """What it knows of itself."""
        tron, ton = self.chains.tron, self.chains.ton
        return {
            "name": NAME,
            "time_ms": self.chains.clock.now_ms(),
            "ahead_ms": self.chains.clock.ahead_ms,
            "tron": {
                "wallet": tron.wallet,
                "contract": tron.usdt,
                "transactions": len(tron),
                **self._api(Network.TRON),
            },
            "ton": {
                "wallet": addresses.ton_friendly(ton.wallet, test=True),
                "contract": ton.master,
                "transactions": len(ton),
                **self._api(Network.TON),
            },
        }

    def _api(self, network: Network) -> dict[str, Any]:
        limit, faults = self.limits[network], self.faults[network]
        return {
            "requests": self.requests[network],
            "busiest_second": limit.busiest,
            "limit": limit.per_second,
            "over_limit": limit.exceeded,
            "faults": {str(fault): share for fault, share in faults.plan.shares.items()},
            "next_faults": {str(fault): count for fault, count in faults.coming.items()},
        }


class PaymentBody(BaseModel):
    """A `Payment`, from outside."""

    model_config = ConfigDict(extra="forbid")

    method: Method
    kind: PaymentKind = PaymentKind.EXACT
    to: str = Field(max_length=80)
    amount: int = Field(ge=0, le=MAX_AMOUNT)
    comment: str = Field("", max_length=1024)
    sender: str = Field("buyer", min_length=1, max_length=64)
    not_before_ms: int = Field(0, ge=0, lt=2**45)

    def payment(self) -> Payment:
        """As it is.

        Raises:
            InvalidInput: the address is not one of that network.
        """
        parse = addresses.tron if self.method.network is Network.TRON else addresses.ton
        try:
            to = parse(self.to)
        except ValueError as error:
            raise InvalidInput(
                f"nothing can be paid to {self.to!r}", str(error), "Copy the address again, whole."
            ) from None
        return Payment(**{**self.model_dump(), "to": to})


class ConfirmBody(BaseModel):
    """Which transaction to confirm; None for all."""

    model_config = ConfigDict(extra="forbid")

    tx_id: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")


class PlanBody(BaseModel):
    """A `FaultPlan`, from outside."""

    model_config = ConfigDict(extra="forbid")

    shares: dict[Fault, float] = Field(default_factory=dict)
    next: list[Fault] = Field(default_factory=list)
    slow_s: float = 1.0

    def plan(self) -> FaultPlan:
        """As it is.

        Raises:
            InvalidInput: it is none.
        """
        try:
            return FaultPlan(self.shares, tuple(self.next), self.slow_s)
        except ValueError as error:
            raise InvalidInput("these faults are refused", str(error), "Correct them.") from None


def create(sandbox: Sandbox) -> ASGIApp:
    """The application."""
    app = FastAPI(title=NAME, openapi_url=None)
    app.include_router(trongrid.router(sandbox.chains.tron, sandbox.rng), prefix="/tron")
    app.include_router(tonapi.router(sandbox.chains.ton, sandbox.rng), prefix="/ton")
    app.include_router(toncenter.router(sandbox.chains.ton, sandbox.rng), prefix="/ton/api/v2")

    @app.exception_handler(X0Error)
    async def explain(_: Request, error: X0Error) -> JSONResponse:
        told = {"what": error.what, "why": error.why, "remedy": error.remedy}
        return JSONResponse(told, error.http_status)

    @app.get("/sandbox")
    async def state() -> dict[str, Any]:
        return sandbox.state()

    @app.post("/sandbox/payments")
    async def payments(bodies: list[PaymentBody]) -> dict[str, Any]:
        if not 0 < len(bodies) <= MAX_PAYMENTS:
            raise InvalidInput(
                f"{len(bodies)} payments are refused",
                f"a call makes 1 to {MAX_PAYMENTS}",
                "Make several calls.",
            )
        _check_room(sandbox.chains, len(bodies))
        made = [body.payment() for body in bodies]
        for one in made:  # all or none
            kinds.check(one.kind, one.method)
        return {"transactions": [kinds.pay(sandbox.chains, one) for one in made]}

    @app.post("/sandbox/confirm")
    async def confirm(body: ConfirmBody) -> dict[str, Any]:
        return {"transactions": sandbox.chains.tron.confirm(body.tx_id)}

    @app.put("/sandbox/faults/{network}")
    async def faults(network: Network, body: PlanBody) -> dict[str, Any]:
        sandbox.faults[network].follow(body.plan())
        return sandbox.state()

    return Misbehaving(app, sandbox)


def _check_room(chains: Chains, payments: int) -> None:
    if len(chains.tron) + len(chains.ton) + chain_ton.MOST * payments > MAX_TRANSACTIONS:
        raise Unavailable(
            "the sandbox takes no more payments",
            f"it keeps {MAX_TRANSACTIONS} transactions in memory",
            "Start a new one.",
            retry_after_s=0.0,
        )


class Misbehaving:
    """The APIs' limits and faults, in front of the application.

    Args:
        app: the application.
        sandbox: says how the APIs are.
    """

    def __init__(self, app: ASGIApp, sandbox: Sandbox) -> None:
        self._app = app
        self._sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, rightly or not."""
        first = scope.get("path", "").split("/")[1:2]
        if scope["type"] != "http" or first not in [[str(one)] for one in Network]:
            await self._app(scope, receive, send)
            return
        network = Network(first[0])
        faults = self._sandbox.faults[network]
        self._sandbox.requests[network] += 1
        spoilt = self._sandbox.limits[network].ask(asyncio.get_running_loop().time())
        fault = faults.draw() if spoilt is None else None
        if spoilt is None and fault is not None:
            spoilt = faults.spoilt(fault, network)
        if spoilt is not None:
            answer = JSONResponse(spoilt.body, spoilt.status, dict(spoilt.headers))
            await answer(scope, receive, send)
        elif fault is Fault.RESET:
            await _break(scope, receive, reset=True)
        elif fault in {Fault.CUT, Fault.TRUNCATED}:
            await self._half(scope, receive, send, whole=fault is Fault.TRUNCATED)
        else:
            if fault is Fault.SLOW:
                await asyncio.sleep(faults.plan.slow_s)
            scope.setdefault("state", {})["fault"] = fault
            await self._app(scope, receive, send)

    async def _half(self, scope: Scope, receive: Receive, send: Send, *, whole: bool) -> None:
        """Half an answer: as `whole` HTTP, or until the connection breaks."""
        start: Message = {}
        body = bytearray()

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                body.extend(message.get("body", b""))

        await self._app(scope, receive, keep)
        half = bytes(body[: len(body) // 2])
        if whole:
            headers = [pair for pair in start["headers"] if pair[0].lower() != b"content-length"]
            start["headers"] = [*headers, (b"content-length", str(len(half)).encode())]
        await send(start)
        await send({"type": "http.response.body", "body": half, "more_body": not whole})
        if not whole:
            await _break(scope, receive, reset=False)


async def _break(scope: Scope, receive: Receive, *, reset: bool) -> None:
    """End the connection; see `server`, which puts the way to do it into the state."""
    scope["state"]["break_connection"](reset=reset)
    while (await receive())["type"] != "http.disconnect":
        pass
