"""The answers about payments, as the OpenAPI document tells them."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, Field

from serve_apps.gateway.payment_requests import OrderRequest, ReviewDecision
from serve_apps.web import documents as problem_documents
from serve_apps.web.documents import example

_AMOUNT: Final = "in whole coins, as text so that nothing is rounded"
_ORDER: Final[dict[str, Any]] = {
    "id": "abcdefghijklmnop",
    "state": "new",
    "plan": "month",
    "method": "tron",
    "network": "tron",
    "symbol": "USDT",
    "amount": "9.9123",
    "price": "9.9",
    "pay_to": "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t",
    "comment": "",
    "created": "2026-01-01T12:00:00+00:00",
    "expires": "2026-01-01T12:45:00+00:00",
    "channel": "pull",
    "recipient": "",
}


class PlanSummary(BaseModel):
    """What can be bought."""

    id: str
    title: dict[str, str] = Field(description="by language")
    price: dict[str, str] = Field(description=f"by way to pay, {_AMOUNT}")
    delivers: str = Field(description="download or licence")
    file: str = Field(description='of a download, relative to the catalogue; else ""')


class PlanList(BaseModel):
    """All plans."""

    model_config = example(
        plans=[
            {
                "id": "month",
                "title": {"en": "One month"},
                "price": {"tron": "9.9"},
                "delivers": "download",
                "file": "files/month.zip",
            }
        ]
    )
    plans: list[PlanSummary]


class OrderSummary(BaseModel):
    """An order: what to pay, where, and what has become of it."""

    model_config = example(**_ORDER)
    id: str
    state: str = Field(
        description="new, seen, confirmed, overpaid, delivering, delivered; expired, paid_late, "
        "underpaid, review"
    )
    plan: str
    method: str
    network: str
    symbol: str
    amount: str = Field(description=f"to be paid, exactly; {_AMOUNT}")
    price: str
    pay_to: str
    comment: str = Field(description="to be sent along, on TON")
    created: str
    expires: str
    channel: str
    recipient: str


class OrderPayment(BaseModel):
    """A transfer that is taken for an order's."""

    tx_id: str
    sender: str
    amount: str = Field(description=_AMOUNT)
    block: str = Field(description="time of its block")
    settles: bool = Field(description="it pays the order; else a person decides, or has decided")


class OrderInFull(OrderSummary):
    """An order, with what came in for it, and what it brings."""

    model_config = example(
        **_ORDER | {"state": "delivered"},
        payments=[
            {
                "tx_id": "6f" * 32,
                "sender": "TJzXt1sZautjqXnpjQT4xSCBHNSYgBkDr3",
                "amount": _ORDER["amount"],
                "block": _ORDER["created"],
                "settles": True,
            }
        ],
        delivers="licence",
        goods="X0-EXAMPLE",
    )
    payments: list[OrderPayment]
    delivers: str | None = Field(None, description="of a paid order: download or licence")
    goods: str | None = Field(None, description="of a paid order: the link, or the code")


class OrderList(BaseModel):
    """Orders, newest first."""

    model_config = example(orders=[_ORDER])
    orders: list[OrderSummary]


class ReviewEntry(BaseModel):
    """What came in and settles nothing by itself, or cannot be delivered."""

    subject: str = Field(description="name of the entry")
    cause: str
    order: str | None
    method: str | None
    symbol: str | None
    amount: str | None
    sender: str
    block: str | None = Field(description="time of the transfer's block")
    verified: bool = Field(description="its receipt was read; hearsay cannot be accepted")
    decision: str
    note: str
    refund_to: str
    refund: str | None


class ReviewList(BaseModel):
    """The review queue, oldest first; or what was decided, newest first."""

    model_config = example(
        reviews=[
            {
                "subject": f"tron:{'0' * 64}:0",
                "cause": "underpaid",
                "order": "abcdefghijklmnop",
                "method": "tron",
                "symbol": "USDT",
                "amount": "9",
                "sender": "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t",
                "block": "2026-01-01T12:01:00+00:00",
                "verified": True,
                "decision": "",
                "note": "",
                "refund_to": "",
                "refund": None,
            }
        ],
        open=1,
    )
    reviews: list[ReviewEntry]
    open: int = Field(description="open entries in all")


class Decided(BaseModel):
    """The entry is closed."""

    model_config = example(
        subject=f"tron:{'0' * 64}:0", decision="accept", order="abcdefghijklmnop"
    )
    subject: str
    decision: str
    order: str | None = Field(description="that it is about")


class MethodTakings(BaseModel):
    """What came in by one way to pay."""

    settled: int = Field(description="payments that settle orders")
    settled_amount: str
    excess: str = Field(description="of it, what was paid beyond what was asked")
    review: int = Field(description="payments that settle nothing")
    review_amount: str
    refunds_proposed: str


class ReadingProgress(BaseModel):
    """How far an account's history was read."""

    cursor: int
    completed: str | None = Field(description="when a scan last came to its end")


class LedgerReport(BaseModel):
    """Sums of the ledger."""

    model_config = example(
        orders={"delivered": 1},
        takings={
            "tron": {
                "settled": 1,
                "settled_amount": "9.9123",
                "excess": "0",
                "review": 0,
                "review_amount": "0",
                "refunds_proposed": "0",
            }
        },
        reviews=0,
        unsent=0,
        read={
            "tron:TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t": {
                "cursor": 1767268800000,
                "completed": "2026-01-01T12:02:00+00:00",
            }
        },
    )
    orders: dict[str, int] = Field(description="by state")
    takings: dict[str, MethodTakings] = Field(description="by way to pay")
    reviews: int = Field(description="open entries of the review queue")
    unsent: int = Field(description="messages that are due")
    read: dict[str, ReadingProgress] = Field(description="by network and account")


READS: Final = problem_documents.problems(401, 403, 422, 429, 503)


ORDER_BODY: Final = problem_documents.body("OrderRequest")
DECISION_BODY: Final = problem_documents.body("ReviewDecision")
COMPONENTS: Final = problem_documents.components(OrderRequest, ReviewDecision)
FILE: Final[dict[int | str, dict[str, Any]]] = {
    status: {
        "description": text,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
    for status, text in ((200, "The file"), (206, "The part of it that `Range` asks for"))
}
