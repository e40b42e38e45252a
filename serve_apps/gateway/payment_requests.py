"""What requests about payments say, checked."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from typing_extensions import TypeAliasType

MAX_REQUEST: Final = 100
PRINTABLE: Final = r"^[ -~]*$"
_NO_NUL: Final = r"^[^\x00]*$"  # which PostgreSQL's texts cannot hold


Language = TypeAliasType("Language", Literal["en", "ru"])
PaymentNetwork = TypeAliasType("PaymentNetwork", Literal["tron", "ton"])
CauseKind = TypeAliasType(
    "CauseKind",
    Literal[
        "unmatched",
        "underpaid",
        "late",
        "duplicate",
        "unusual",
        "wrong_asset",
        "undeliverable",
        "overpaid",
    ],
)
MethodKind = TypeAliasType("MethodKind", Literal["tron", "ton", "ton-usdt"])
DecisionKind = TypeAliasType("DecisionKind", Literal["accept", "refund", "dismiss", "retry"])


class OrderRequest(BaseModel):
    """An order that is wanted."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [{"plan": "month", "method": "tron", "request": "basket-17"}]
        },
    )

    plan: str = Field(min_length=1, max_length=32, description="id in the catalogue")
    method: str | None = Field(
        None, max_length=16, description="tron, ton or ton-usdt; the first on offer if left out"
    )
    request: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_REQUEST,
        pattern=PRINTABLE,
        description="key of this request: the same key never makes a second order",
    )
    recipient: str = Field(
        "", max_length=64, pattern=PRINTABLE, description="whose order it is; few may be open each"
    )
    language: Language = Field("en", description="language of its messages")


class ScanRequest(BaseModel):
    """What is to be read of a chain besides what is new: one transaction, or a time again."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        json_schema_extra={
            "examples": [
                {"network": "tron", "transaction": "0" * 64},
                {"network": "ton", "from": "2026-01-31T12:00:00Z"},
            ]
        },
    )

    network: PaymentNetwork
    transaction: str | None = Field(
        None, min_length=1, max_length=500, pattern=_NO_NUL, description="its id, or a link"
    )
    begin: datetime | None = Field(
        None, alias="from", description="read again from this time on; UTC if it names no zone"
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.transaction is None) == (self.begin is None):
            raise ValueError("give either `transaction` or `from`")
        return self


class ReviewDecision(BaseModel):
    """What is to be done about an entry of the review queue."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {"decision": "accept", "order": "abcdefghijklmnop"},
                {"decision": "refund", "amount": "9.90", "note": "paid twice"},
            ]
        },
    )

    decision: DecisionKind = Field(
        description="take it as the payment of an order; propose a refund, which is written down "
        "and never sent; close it; have a delivery tried again"
    )
    order: str | None = Field(
        None,
        max_length=40,
        pattern=PRINTABLE,
        description="accept: the order it pays, if the entry names none",
    )
    underpaid: bool = Field(
        default=False, description="accept: take it although it is less than the price"
    )
    to: str | None = Field(
        None,
        max_length=80,
        pattern=PRINTABLE,
        description="refund: address that the buyer has named; the buyer is asked if none",
    )
    amount: str | None = Field(
        None, max_length=40, description="refund: in whole coins; all of it if left out"
    )
    note: str = Field(
        "", max_length=500, pattern=_NO_NUL, description="why, for those who read it later"
    )


class BulkRequest(BaseModel):
    """One decision about many entries of the review queue."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {"decision": "dismiss", "subjects": [f"tron:{'0' * 64}:0"], "note": "dust"}
            ]
        },
    )

    decision: DecisionKind = Field(
        description="take each as the payment of the order that it is certain to be for; propose "
        "refunds, whose buyers are asked where to; close them; have deliveries tried again"
    )
    subjects: list[Annotated[str, Field(min_length=1, max_length=100, pattern=PRINTABLE)]] = Field(
        min_length=1, max_length=1000, description="names of the entries, each decided by itself"
    )
    note: str = Field(
        "", max_length=500, pattern=_NO_NUL, description="why, for those who read it later"
    )


class RefundChange(BaseModel):
    """What has become of a proposed refund."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"sent": "0" * 64}, {"amount": "9.90"}]},
    )

    sent: str | None = Field(
        None,
        min_length=1,
        max_length=80,
        pattern=PRINTABLE,
        description="id of the transaction that sent it; again, to correct that",
    )
    to: str | None = Field(
        None, max_length=80, pattern=PRINTABLE, description="address that it should go to"
    )
    amount: str | None = Field(None, max_length=40, description="in whole coins")
    withdraw: bool = Field(
        default=False, description="take the proposal back: its entry is open again"
    )

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        corrects = self.to is not None or self.amount is not None
        if (self.sent is not None) + corrects + self.withdraw != 1:
            raise ValueError("say one of: sent; to and amount; withdraw")
        return self
