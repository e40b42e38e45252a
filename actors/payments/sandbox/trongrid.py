"""The HTTP of TronGrid over the sandbox's TRON: the TRC-20 index, and a node's wallet calls.

    GET  /v1/accounts/{address}/transactions/trc20
    POST /walletsolidity/gettransactioninfobyid
    POST /walletsolidity/getnowblock
    POST /wallet/gettransactionbyid
    POST /wallet/gettransactioninfobyid, also of blocks that are not solid

Pages hang together by fingerprints, which are good for the very parameters that they were made for.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from actors.payments.chains import addresses
from actors.payments.sandbox.faults import Fault

if TYPE_CHECKING:
    import random

    from actors.payments.sandbox.chain_tron import TronChain

MAX_PAGE: Final = 200
MAX_OPEN: Final = 50  # histories that are being paged through
_FOREVER_MS: Final = 2**53


class HistoryQuery(BaseModel):
    """Parameters of the index."""

    model_config = ConfigDict(frozen=True)

    only_confirmed: bool = False
    only_unconfirmed: bool = False
    only_to: bool = False
    only_from: bool = False
    contract_address: str | None = Field(None, max_length=64)
    min_timestamp: int = Field(0, ge=0, le=_FOREVER_MS)
    max_timestamp: int = Field(_FOREVER_MS, ge=0, le=_FOREVER_MS)
    limit: int = Field(20, ge=1, le=MAX_PAGE)
    order_by: Literal["block_timestamp,asc", "block_timestamp,desc"] = "block_timestamp,desc"
    fingerprint: str | None = Field(None, max_length=64)


class _Value(BaseModel):
    value: str = Field(max_length=64)


@dataclass(frozen=True, slots=True)
class _Paging:
    """The rest of a history: frozen when its first page was asked for."""

    key: str
    rows: list[dict[str, Any]]
    start: int


class Index:
    """The TRC-20 index.

    Args:
        chain: the chain whose transfers it lists.
        rng: reorders what is to be reordered.
    """

    def __init__(self, chain: TronChain, rng: random.Random) -> None:
        self._chain = chain
        self._rng = rng
        self._open: OrderedDict[str, _Paging] = OrderedDict()

    def page(
        self, address: str, query: HistoryQuery, fault: Fault | None = None
    ) -> dict[str, Any] | None:
        """A page; None if its fingerprint is not good for these parameters."""
        asked = query.model_dump(exclude={"fingerprint"})
        key = json.dumps([address, asked], sort_keys=True)
        if query.fingerprint is None:
            paging = _Paging(key, self._rows(address, query, fault), 0)
        else:
            known = self._open.get(query.fingerprint)
            if known is None or known.key != key:
                return None
            paging = known
        end = paging.start + query.limit
        rows = paging.rows[paging.start : end]
        if fault is Fault.ODD:
            rows = [self._odd(row) for row in rows]
        meta: dict[str, Any] = {"at": self._chain.solid_head()[1], "page_size": len(rows)}
        if end < len(paging.rows) and fault is not Fault.UNMARKED:
            meta["fingerprint"] = self._remember(_Paging(key, paging.rows, end))
        return {"success": True, "meta": meta, "data": rows}

    def _rows(self, address: str, query: HistoryQuery, fault: Fault | None) -> list[dict[str, Any]]:
        rows = self._chain.listed(address)
        if fault is not Fault.UNFILTERED:
            rows = [row for row in rows if _matches(row, address, query)]
        newest_first = query.order_by.endswith("desc")
        rows.sort(key=lambda row: row["block_timestamp"], reverse=newest_first)
        if fault is Fault.REORDERED:
            self._rng.shuffle(rows)
        return rows

    def _odd(self, row: dict[str, Any]) -> dict[str, Any]:
        """A row with one field that is missing, or written in another way."""
        value, time_ms, tx_id = row["value"], row["block_timestamp"], row["transaction_id"]
        ways: tuple[dict[str, Any], ...] = (
            {"token_info": {}},
            {"token_info": None, "token": row["token_info"]},
            {"type": row["type"].lower()},
            {"value": hex(int(value))},
            {"value": None},
            {"block_timestamp": str(time_ms)},
            {"block_timestamp": None},
            {"transaction_id": f"0x{tx_id}"},
            {"to": None},
        )
        return {**row, **self._rng.choice(ways)}

    def _remember(self, paging: _Paging) -> str:
        mark = f"{paging.key}/{paging.start}/{self._rng.random()}"
        fingerprint = hashlib.sha256(mark.encode()).hexdigest()[:20]
        self._open[fingerprint] = paging
        if len(self._open) > MAX_OPEN:
            self._open.popitem(last=False)
        return fingerprint


def _matches(row: dict[str, Any], address: str, query: HistoryQuery) -> bool:
    unconfirmed = row.get("_unconfirmed", False)
    return (
        query.min_timestamp <= row["block_timestamp"] <= query.max_timestamp
        and query.contract_address in {None, row["token_info"]["address"]}
        and not (query.only_to and row["to"] != address)
        and not (query.only_from and row["from"] != address)
        and not (query.only_confirmed and unconfirmed)
        and not (query.only_unconfirmed and not unconfirmed)
    )


def router(chain: TronChain, rng: random.Random) -> APIRouter:
    """The routes."""
    routes = APIRouter()
    index = Index(chain, rng)

    @routes.get("/v1/accounts/{address}/transactions/trc20")
    async def history(
        address: str, query: Annotated[HistoryQuery, Query()], request: Request
    ) -> JSONResponse:
        try:
            account = addresses.tron(address)
        except ValueError:
            return _refused("Invalid account address")
        found = index.page(account, query, getattr(request.state, "fault", None))
        return _refused("Invalid fingerprint") if found is None else JSONResponse(found)

    @routes.post("/walletsolidity/gettransactioninfobyid")
    async def receipt(body: _Value) -> dict[str, Any]:
        return chain.receipt(body.value.lower())

    @routes.post("/wallet/gettransactionbyid")
    async def transaction(body: _Value) -> dict[str, Any]:
        return chain.transaction(body.value.lower())

    @routes.post("/wallet/gettransactioninfobyid")
    async def early_receipt(body: _Value) -> dict[str, Any]:
        return chain.receipt(body.value.lower(), solid=False)

    @routes.post("/walletsolidity/getnowblock")
    async def now_block() -> dict[str, Any]:
        number, time_ms = chain.solid_head()
        return {"block_header": {"raw_data": {"number": number, "timestamp": time_ms}}}

    return routes


def _refused(why: str) -> JSONResponse:
    return JSONResponse({"success": False, "error": why, "statusCode": 400}, 400)
