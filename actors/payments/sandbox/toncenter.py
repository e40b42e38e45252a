"""The HTTP of toncenter's v2 over the sandbox's TON, under `/api/v2`.

GET  /getTransactions, from the newest back, of accounts that are there
GET  /getMasterchainInfo, /getBlockHeader
POST /runGetMethod, of jetton masters
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import BaseModel, Field
from pytoniq_core.boc.address import Address
from pytoniq_core.boc.builder import Builder
from pytoniq_core.boc.cell import Cell

from actors.payments.chains import addresses
from actors.payments.sandbox.faults import Fault
from actors.payments.sandbox.ton_cells import TonExternal

if TYPE_CHECKING:
    import random

    from actors.payments.sandbox.chain_ton import TonChain
    from actors.payments.sandbox.ton_cells import TonEnvelope, TonRecord

MAX_PAGE: Final = 100
_MAX_LT: Final = 2**63


class _Run(BaseModel):
    address: str = Field(max_length=70)
    method: str = Field(max_length=64)
    stack: list[tuple[str, str]] = Field(max_length=1)


def router(chain: TonChain, rng: random.Random) -> APIRouter:
    """The routes."""
    routes = APIRouter()

    @routes.get("/getMasterchainInfo")
    async def info() -> dict[str, Any]:
        return _ok({"last": {"workchain": -1, "seqno": chain.head()[0]}})

    @routes.get("/getBlockHeader")
    async def header() -> dict[str, Any]:
        return _ok({"gen_utime": chain.head()[1]})

    @routes.get("/getTransactions")
    async def transactions(
        address: str,
        request: Request,
        lt: Annotated[int, Query(ge=0, le=_MAX_LT)] = _MAX_LT,
        to_lt: Annotated[int, Query(ge=0, lt=_MAX_LT)] = 0,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 10,
    ) -> dict[str, Any]:
        fault = getattr(request.state, "fault", None)
        floor = 0 if fault is Fault.UNFILTERED else to_lt
        made = chain.remembered(_raw(address))
        listed = [one for one in reversed(made) if floor < one.lt <= lt][:limit]
        if fault is Fault.REORDERED:
            listed = rng.sample(listed, len(listed))
        return _ok([_shown(one) for one in listed])

    @routes.post("/runGetMethod")
    async def run(body: _Run) -> dict[str, Any]:
        master = _raw(body.address)
        known = master in {chain.master, chain.fake_master}
        if not known or body.method != "get_wallet_address" or not body.stack:
            return _ok({"stack": [], "exit_code": 11})  # TVM: no such method
        wallet = chain.jetton_wallet(_owner(body.stack[0][1]), master)
        cell = Builder().store_address(Address(wallet)).end_cell()
        shown = {"bytes": base64.b64encode(cell.to_boc()).decode()}
        return _ok({"stack": [["cell", shown]], "exit_code": 0})

    return routes


def _ok(result: object) -> dict[str, Any]:
    return {"ok": True, "result": result}


def _raw(text: str) -> str:
    try:
        return addresses.ton(text)
    except ValueError:
        raise HTTPException(422, "failed to parse address") from None


def _owner(argument: str) -> str:
    """The address in a cell."""
    try:
        cell = Cell.one_from_boc(base64.b64decode(argument, validate=True))
        return addresses.raw(cell.begin_parse().load_address())
    except (binascii.Error, ValueError, AttributeError):
        raise HTTPException(422, "failed to parse the stack") from None


def _shown(one: TonRecord) -> dict[str, Any]:
    digest = base64.b64encode(bytes.fromhex(one.tx_id)).decode()
    return {
        "utime": one.time_s,
        "data": base64.b64encode(one.boc).decode(),
        "transaction_id": {"lt": str(one.lt), "hash": digest},
        "fee": "0",
        "in_msg": _message(one.incoming),
        "out_msgs": [_message(sent) for sent in one.outgoing],
    }


def _message(one: TonEnvelope | TonExternal) -> dict[str, str]:
    if isinstance(one, TonExternal):
        return {"source": "", "destination": one.destination, "value": "0"}
    return {"source": one.source, "destination": one.destination, "value": str(one.value)}
