"""Orders, the review queue, sums; and the downloads that orders bring."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, Final, ParamSpec, TypeVar

from fastapi import Path, Query, Request
from fastapi.responses import JSONResponse, Response

from actors.payments import answers, checkout
from actors.payments.bulk_decisions import BulkDecision
from actors.payments.chains.money import Method
from actors.payments.ledger.orders import Cause, OrderState
from actors.payments.ledger.review_entries import ReviewFilter
from serve_apps.gateway import payment_desk
from serve_apps.gateway.http import payment_documents
from serve_apps.gateway.http.parameters import V1
from serve_apps.gateway.payment_requests import (
    PRINTABLE,
    BulkRequest,
    CauseKind,
    DecisionKind,
    MethodKind,
    OrderRequest,
    RefundChange,
    ReviewDecision,
    ScanRequest,
)
from serve_apps.web import bodies
from serve_apps.web import documents as problem_documents
from serve_apps.web.parsing import parse
from serve_apps.web.streams import Download

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI
    from pydantic import BaseModel

    from actors.payments.answers import PaymentsAnswer
    from serve_apps.gateway.gateway_state import Gateway
    from serve_apps.gateway.payment_desk import Desk

B = TypeVar("B", bound="BaseModel")
P = ParamSpec("P")

OrderId = Annotated[
    str, Path(min_length=1, max_length=40, pattern=PRINTABLE, examples=["abcdefghijklmnop"])
]
Subject = Annotated[
    str, Path(min_length=1, max_length=100, pattern=PRINTABLE, examples=[f"tron:{'0' * 64}:0"])
]
LicenceCode = Annotated[str, Path(min_length=1, max_length=80, pattern=PRINTABLE)]
After = Annotated[
    str | None,
    Query(description="`next` of the page before", max_length=100, pattern=PRINTABLE),
]
Token = Annotated[str, Path(min_length=1, max_length=256)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Causes = Annotated[list[CauseKind] | None, Query(description="only of these", max_length=10)]
OfOrder = Annotated[
    str | None, Query(description="only of this order", max_length=40, pattern=PRINTABLE)
]
By = Annotated[MethodKind | None, Query(description="only paid with this")]
Below = Annotated[str | None, Query(description="only of less, in whole coins", max_length=40)]
_KEY_BYTES: Final = 12


def add(app: FastAPI, gateway: Gateway) -> None:
    """Add the routes."""
    _add_orders(app, gateway)
    _add_reviews(app, gateway)
    _add_scans(app, gateway)
    _add_refunds(app, gateway)
    _add_downloads(app, gateway)


def _add_orders(app: FastAPI, gateway: Gateway) -> None:
    @app.get(
        f"{V1}/payments/catalogue",
        tags=["payments"],
        response_model=payment_documents.PlanList,
        responses=problem_documents.problems(401, 403, 422, 429, 503),
    )
    async def list_plans(request: Request) -> Any:  # noqa: ANN401 - documented by the model
        """What can be bought."""
        return await _read(gateway, request, payment_desk.plans)

    @app.get(
        f"{V1}/payments/orders",
        tags=["payments"],
        response_model=payment_documents.OrderList,
        responses=payment_documents.READS,
    )
    async def list_orders(
        request: Request,
        state: Annotated[
            list[OrderState] | None, Query(description="only in these", max_length=10)
        ] = None,
        limit: Limit = 100,
    ) -> Any:  # noqa: ANN401 - the same
        """Orders, newest first."""
        return await _read(gateway, request, payment_desk.orders, states=state or [], limit=limit)

    @app.post(
        f"{V1}/payments/orders",
        tags=["payments"],
        response_model=answers.OrderSummary,
        responses={**problem_documents.CHANGES, **problem_documents.problems(404, 409)},
        openapi_extra={"requestBody": payment_documents.ORDER_BODY},
    )
    async def open_order(request: Request) -> Any:  # noqa: ANN401 - the same
        """Open an order: the answer says what to pay, where and until when.

        The same `request` gives the same order again, so a lost answer can be asked for anew; for
        another plan, method or recipient it is refused.
        """
        wanted = await _body(gateway, request, OrderRequest)
        key = wanted.request or secrets.token_hex(_KEY_BYTES)
        return await _answered(gateway, payment_desk.order, wanted=wanted, request=key)

    @app.get(
        f"{V1}/payments/orders/{{id}}",
        tags=["payments"],
        response_model=answers.OrderInFull,
        responses={**payment_documents.READS, **problem_documents.problems(404)},
    )
    async def get_order(request: Request, id: OrderId) -> Any:  # noqa: A002, ANN401 - the name in the path
        """An order, with what came in for it, and what it brings once it is paid."""
        return _unkept(await _read(gateway, request, payment_desk.one_order, order_id=id))

    @app.post(
        f"{V1}/payments/orders/{{id}}/delivery",
        tags=["payments"],
        response_model=answers.OrderInFull,
        responses={**payment_documents.READS, **problem_documents.problems(404, 409)},
    )
    async def deliver_order(request: Request, id: OrderId) -> Any:  # noqa: A002, ANN401 - the same
        """Deliver a paid order once more: after a repair, or for a link that has ended.

        A link that ends within a day is replaced by one that works for seven days.
        """
        return _unkept(await _read(gateway, request, payment_desk.deliver, order_id=id))


def _add_reviews(app: FastAPI, gateway: Gateway) -> None:
    @app.get(
        f"{V1}/payments/reviews",
        tags=["payments"],
        response_model=payment_documents.ReviewList,
        responses={**payment_documents.READS, **problem_documents.problems(404)},
    )
    async def list_reviews(
        request: Request,
        closed: Annotated[bool, Query(description="what was decided, instead")] = False,  # noqa: FBT002 - a query
        cause: Causes = None,
        order: OfOrder = None,
        method: By = None,
        below: Below = None,
        after: After = None,
        limit: Limit = 100,
    ) -> Any:  # noqa: ANN401 - documented by the model
        """What came in and settles nothing by itself, for a person to decide.

        First what names an order, then the oldest.
        """
        chosen = _chosen(cause, order, method, below, closed=closed)
        return await _read(
            gateway, request, payment_desk.reviews, limit=limit, chosen=chosen, after=after
        )

    @app.get(
        f"{V1}/payments/proposals",
        tags=["payments"],
        response_model=answers.BulkProposals,
        responses={**payment_documents.READS, **problem_documents.problems(404)},
    )
    async def list_proposals(
        request: Request,
        decision: Annotated[DecisionKind, Query(description="what would be decided")],
        cause: Causes = None,
        order: OfOrder = None,
        method: By = None,
        below: Below = None,
        after: After = None,
        limit: Limit = 100,
    ) -> Any:  # noqa: ANN401 - documented by the model
        """Open entries that can be decided so together: for `POST /v1/payments/reviews`.

        To be accepted are those that are certain to be an order's and enough for it, to be
        refunded those that name an order.
        """
        return await _read(
            gateway,
            request,
            payment_desk.propose_bulk,
            decision=BulkDecision(decision),
            limit=limit,
            chosen=_chosen(cause, order, method, below),
            after=after,
        )

    @app.post(
        f"{V1}/payments/reviews",
        tags=["payments"],
        response_model=answers.BulkDecisions,
        responses=problem_documents.CHANGES,
        openapi_extra={"requestBody": payment_documents.BULK_BODY},
    )
    async def decide_reviews(request: Request) -> Any:  # noqa: ANN401 - the same
        """Decide about many entries, each by itself: the answer says what became of each.

        The same may be asked for again; what was decided so before stays as it is.
        """
        wanted = await _body(gateway, request, BulkRequest, gateway.limits.bulk_bytes)
        return await _answered(gateway, payment_desk.decide_bulk, wanted=wanted)

    @app.post(
        f"{V1}/payments/reviews/{{subject}}",
        tags=["payments"],
        response_model=payment_documents.Decided,
        responses={**problem_documents.CHANGES, **problem_documents.problems(404, 409)},
        openapi_extra={"requestBody": payment_documents.DECISION_BODY},
    )
    async def decide_review(request: Request, subject: Subject) -> Any:  # noqa: ANN401 - the same
        """Decide about an entry. A refund is written down and never sent.

        Without an address the buyer is asked for one: the sender's may be an exchange's.
        """
        wanted = await _body(gateway, request, ReviewDecision)
        return await _answered(gateway, payment_desk.decide, subject=subject, wanted=wanted)

    @app.get(
        f"{V1}/payments/report",
        tags=["payments"],
        response_model=answers.LedgerReport,
        responses=payment_documents.READS,
    )
    async def get_report(
        request: Request,
        since: Annotated[
            datetime | None, Query(description="count from this time on; UTC if it names no zone")
        ] = None,
    ) -> Any:  # noqa: ANN401 - the same
        """Sums of orders, takings, reviews and proposed refunds."""
        return await _read(gateway, request, payment_desk.report, since_ms=_ms(since))


def _add_scans(app: FastAPI, gateway: Gateway) -> None:
    @app.post(
        f"{V1}/payments/scans",
        tags=["payments"],
        response_model=answers.FoundTransaction | payment_documents.ScanBegun,
        responses={**problem_documents.CHANGES, **problem_documents.problems(502, 503)},
        openapi_extra={"requestBody": payment_documents.SCAN_BODY},
    )
    async def scan_chain(request: Request) -> Any:  # noqa: ANN401 - documented by the model
        """Bring in one transaction by its id, or have a chain read again from a time on.

        The receipt, or the cells, decide, and whatever is read again counts once.
        """
        wanted = await _body(gateway, request, ScanRequest)
        found = await payment_desk.scan(gateway.payments, wanted)
        return JSONResponse(found.values())


def _add_refunds(app: FastAPI, gateway: Gateway) -> None:
    @app.get(
        f"{V1}/payments/refunds",
        tags=["payments"],
        response_model=payment_documents.RefundList,
        responses={**payment_documents.READS, **problem_documents.problems(404)},
    )
    async def list_refunds(
        request: Request,
        sent: Annotated[bool, Query(description="what was sent, instead")] = False,  # noqa: FBT002 - a query
        after: After = None,
        limit: Limit = 100,
    ) -> Any:  # noqa: ANN401 - documented by the model
        """Refunds that are still to be sent, from a wallet of yours."""
        return await _read(
            gateway, request, payment_desk.refunds, limit=limit, after=after, sent=sent
        )

    @app.post(
        f"{V1}/payments/refunds/{{subject}}",
        tags=["payments"],
        response_model=payment_documents.RefundChanged,
        responses={**problem_documents.CHANGES, **problem_documents.problems(404, 409)},
        openapi_extra={"requestBody": payment_documents.REFUND_BODY},
    )
    async def change_refund(request: Request, subject: Subject) -> Any:  # noqa: ANN401 - the same
        """Mark a refund as sent, correct it, or take it back; the buyer is told."""
        wanted = await _body(gateway, request, RefundChange)
        return await _answered(gateway, payment_desk.change_refund, subject=subject, wanted=wanted)

    @app.get(
        f"{V1}/payments/licences/{{code}}",
        tags=["payments"],
        response_model=answers.LicenceOf,
        responses={**payment_documents.READS, **problem_documents.problems(404)},
    )
    async def check_licence(request: Request, code: LicenceCode) -> Any:  # noqa: ANN401 - the same
        """The paid order that a licence code belongs to; 404 for a code of another shop."""
        return await _read(gateway, request, payment_desk.licence, code=code)


def _add_downloads(app: FastAPI, gateway: Gateway) -> None:
    @app.get(
        "/downloads/{token}",
        tags=["downloads"],
        response_class=Response,
        responses={
            **payment_documents.FILE,
            **problem_documents.problems(400, 404, 416, 422, 429, 503),
        },
    )
    async def download_file(token: Token) -> Response:
        """What an order brings, for as long as its link works. The link is all that it needs."""
        path = await gateway.payments.ask(partial(payment_desk.download, token=token))
        return Download(path, token, gateway.downloads, gateway.limits.stall_s)


def _chosen(
    cause: list[CauseKind] | None,
    order: str | None,
    method: MethodKind | None,
    below: str | None,
    *,
    closed: bool = False,
) -> ReviewFilter:
    return ReviewFilter(
        closed=closed,
        causes=[Cause(one) for one in cause or ()],
        order=order,
        method=None if method is None else Method(method),
        below={} if below is None else checkout.below(below),
    )


async def _body(gateway: Gateway, request: Request, model: type[B], most: int | None = None) -> B:
    """What the request of somebody who may ask says, in at most `most` bytes."""
    gateway.access.check(request.headers)
    value = await bodies.read_json(request, most or gateway.limits.payment_bytes)
    return parse(model, value)


async def _read(
    gateway: Gateway,
    request: Request,
    work: Callable[Concatenate[Desk, P], PaymentsAnswer],
    *args: P.args,
    **kwargs: P.kwargs,
) -> JSONResponse:
    """What the desk answers to somebody who may ask."""
    gateway.access.check(request.headers)
    return await _answered(gateway, work, *args, **kwargs)


async def _answered(
    gateway: Gateway,
    work: Callable[Concatenate[Desk, P], PaymentsAnswer],
    *args: P.args,
    **kwargs: P.kwargs,
) -> JSONResponse:
    answer = await gateway.payments.ask(lambda desk: work(desk, *args, **kwargs))
    return JSONResponse(answer.values())


def _unkept(response: JSONResponse) -> JSONResponse:
    """An answer with a buyer's secret, which nobody on the way may keep."""
    response.headers["cache-control"] = "no-store"
    return response


def _ms(since: datetime | None) -> int:
    if since is None:
        return 0
    aware = since if since.tzinfo is not None else since.replace(tzinfo=UTC)
    return max(0, int(aware.timestamp() * 1000))
