"""The answers about payments that only HTTP gives, and what the OpenAPI document says of all."""

from __future__ import annotations

from typing import Any, Final

from pydantic import Field

from actors.payments.answers import (
    ORDER_EXAMPLE,
    OrderSummary,
    PaymentsAnswer,
    PlanSummary,
    ReviewEntry,
)
from serve_apps.gateway.payment_requests import (
    BulkRequest,
    OrderRequest,
    RefundChange,
    ReviewDecision,
    ScanRequest,
)
from serve_apps.web import documents as problem_documents
from serve_apps.web.documents import example


class PlanList(PaymentsAnswer):
    """All plans."""

    model_config = example(
        plans=[
            {
                "id": "month",
                "title": {"en": "One month"},
                "price": {"tron": "9.9"},
                "delivers": "download",
                "file": "files/month.zip",
                "refused": "",
            }
        ]
    )
    plans: list[PlanSummary]


class OrderList(PaymentsAnswer):
    """Orders, newest first."""

    model_config = example(orders=[ORDER_EXAMPLE])
    orders: list[OrderSummary]


class ReviewList(PaymentsAnswer):
    """The review queue, first what names an order; or what was decided, newest first."""

    model_config = example(
        reviews=[
            {
                "subject": f"tron:{'0' * 64}:0",
                "cause": "underpaid",
                "order": "abcdefghijklmnop",
                "method": "tron",
                "symbol": "USDT",
                "likely": None,
                "certain": True,
                "amount": "9",
                "sender": "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t",
                "comment": "",
                "block": "2026-01-01T12:01:00+00:00",
                "verified": True,
                "decision": "",
                "note": "",
                "refund_to": "",
                "refund": None,
                "refund_tx": "",
                "refund_sent": None,
            }
        ],
        open=1,
        next=None,
    )
    reviews: list[ReviewEntry]
    open: int = Field(description="open entries in all")
    next: str | None = Field(description="give it as `after` for the next page; null: the last")


class RefundList(PaymentsAnswer):
    """Refunds that are still to be sent, or that were; the latest decision first."""

    model_config = example(refunds=[], next=None)
    refunds: list[ReviewEntry]
    next: str | None = Field(description="give it as `after` for the next page; null: the last")


class RefundChanged(PaymentsAnswer):
    """The refund as it is now."""

    model_config = example(review=None)
    review: ReviewEntry | None = Field(
        description="null if it was withdrawn and its transfer now counts as a payment"
    )


class Decided(PaymentsAnswer):
    """The entry is closed."""

    model_config = example(
        subject=f"tron:{'0' * 64}:0", decision="accept", order="abcdefghijklmnop"
    )
    subject: str
    decision: str
    order: str | None = Field(description="that it is about")
    paid: str | None = Field(None, description="accept: what the order was paid in all")
    price: str | None = Field(None, description="accept: what it costs")


class ScanBegun(PaymentsAnswer):
    """The history is being read again."""

    model_config = example(network="tron", begin="2026-01-31T12:00:00+00:00")
    network: str
    begin: str = Field(description="from when on")


READS: Final = problem_documents.problems(401, 403, 422, 429, 503)


ORDER_BODY: Final = problem_documents.body("OrderRequest")
DECISION_BODY: Final = problem_documents.body("ReviewDecision")
SCAN_BODY: Final = problem_documents.body("ScanRequest")
BULK_BODY: Final = problem_documents.body("BulkRequest")
REFUND_BODY: Final = problem_documents.body("RefundChange")
COMPONENTS: Final = problem_documents.components(
    OrderRequest, ReviewDecision, ScanRequest, BulkRequest, RefundChange
)
FILE: Final[dict[int | str, dict[str, Any]]] = {
    status: {
        "description": text,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
    for status, text in ((200, "The file"), (206, "The part of it that `Range` asks for"))
}
