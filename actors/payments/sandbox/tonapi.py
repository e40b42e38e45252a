"""The HTTP of tonapi over the sandbox's TON.

GET /v2/blockchain/masterchain-head
GET /v2/blockchain/accounts/{id}/transactions
GET /v2/blockchain/accounts/{master}/methods/get_wallet_address
GET /v2/accounts/{id}/jettons/{master}
GET /v2/traces/{hash}
GET /v2/blockchain/transactions/{hash}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import APIRouter, HTTPException, Query, Request

from actors.payments.chains import addresses
from actors.payments.sandbox.faults import Fault
from actors.payments.sandbox.ton_cells import TonExternal

if TYPE_CHECKING:
    import random

    from actors.payments.sandbox.chain_ton import TonChain
    from actors.payments.sandbox.ton_cells import TonEnvelope, TonRecord

MAX_PAGE: Final = 1000
_MAX_LT: Final = 2**63


def router(chain: TonChain, rng: random.Random) -> APIRouter:
    """The routes."""
    routes = APIRouter()
    _add_lookups(routes, chain)

    @routes.get("/v2/blockchain/masterchain-head")
    async def head() -> dict[str, Any]:
        number, time_s = chain.head()
        return {"workchain_id": -1, "shard": "8000000000000000", "seqno": number} | {
            "gen_utime": time_s
        }

    @routes.get("/v2/blockchain/accounts/{account}/transactions")
    async def transactions(
        account: str,
        request: Request,
        after_lt: Annotated[int, Query(ge=0, lt=_MAX_LT)] = 0,
        before_lt: Annotated[int, Query(ge=0, le=_MAX_LT)] = _MAX_LT,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
        sort_order: Literal["asc", "desc"] = "desc",
    ) -> dict[str, Any]:
        fault = getattr(request.state, "fault", None)
        floor = 0 if fault is Fault.UNFILTERED else after_lt
        made = [one for one in chain.history(_raw(account)) if floor < one.lt < before_lt]
        listed = (made if sort_order == "asc" else made[::-1])[:limit]
        if fault is Fault.NEWEST:
            listed = chain.history(_raw(account))[-limit:]
        if fault is Fault.REORDERED:
            listed = rng.sample(listed, len(listed))
        return {"transactions": [_shown(one) for one in listed]}

    @routes.get("/v2/blockchain/accounts/{master}/methods/get_wallet_address")
    async def wallet_address(master: str, args: str) -> dict[str, Any]:
        if _raw(master) not in {chain.master, chain.fake_master}:
            raise HTTPException(404, "entity not found")
        found = chain.jetton_wallet(_raw(args), _raw(master))
        return {"success": True, "exit_code": 0, "decoded": {"jetton_wallet_address": found}}

    @routes.get("/v2/accounts/{owner}/jettons/{master}")
    async def jetton(owner: str, master: str) -> dict[str, Any]:
        if _raw(master) not in {chain.master, chain.fake_master}:
            raise HTTPException(404, "entity not found")
        found = chain.jetton_wallet(_raw(owner), _raw(master))
        return {"balance": "0", "wallet_address": {"address": found}}

    return routes


def _add_lookups(routes: APIRouter, chain: TonChain) -> None:
    @routes.get("/v2/traces/{tx_id}")
    async def trace(tx_id: str) -> dict[str, Any]:
        made = chain.payment(tx_id.lower())
        if not made:
            raise HTTPException(404, "entity not found")
        shown: dict[str, Any] = {}
        for one in reversed(made):
            shown = {"transaction": _shown(one), "children": [shown] if shown else []}
        return shown

    @routes.get("/v2/blockchain/transactions/{tx_id}")
    async def transaction(tx_id: str) -> dict[str, Any]:
        for one in chain.payment(tx_id.lower()):
            if one.tx_id == tx_id.lower():
                return _shown(one)
        raise HTTPException(404, "entity not found")


def _raw(text: str) -> str:
    try:
        return addresses.ton(text)
    except ValueError:
        raise HTTPException(400, "can't decode address") from None


def _shown(one: TonRecord) -> dict[str, Any]:
    return {
        "hash": one.tx_id,
        "lt": one.lt,
        "account": {"address": one.account},
        "success": one.active,
        "utime": one.time_s,
        "orig_status": one.begins,
        "end_status": one.ends,
        "total_fees": 0,
        "transaction_type": "TransOrd",
        "in_msg": _message(one.incoming),
        "out_msgs": [_message(message) for message in one.outgoing],
        "prev_trans_hash": one.previous[1],
        "prev_trans_lt": one.previous[0],
        "aborted": not one.active,
        "destroyed": False,
        "raw": one.boc.hex(),
    }


def _message(one: TonEnvelope | TonExternal) -> dict[str, Any]:
    if isinstance(one, TonExternal):
        to = {"address": one.destination}
        return {"msg_type": "ext_in_msg", "value": 0, "destination": to}
    return {
        "msg_type": "int_msg",
        "value": one.value,
        "bounce": one.bounce,
        "bounced": one.bounced,
        "source": {"address": one.source},
        "destination": {"address": one.destination},
    }
