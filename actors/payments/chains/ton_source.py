"""TON over HTTP, in the dialect of the API that the shop uses: tonapi, or toncenter's v2.

    tonapi     GET  /v2/blockchain/accounts/{id}/transactions    `raw`: BoC as hex
               GET  /v2/blockchain/masterchain-head
               GET  /v2/blockchain/accounts/{master}/methods/get_wallet_address
               GET  /v2/accounts/{id}/jettons/{master}            if there is no such method
               GET  /v2/traces/{hash}, /v2/blockchain/transactions/{hash}
    toncenter  GET  /getTransactions                              `data`: BoC as base64
               GET  /getMasterchainInfo, /getBlockHeader
               POST /runGetMethod

A URL that ends in `/api/v2` is toncenter's. Its v3 gives no cells, so nothing of it could be
verified. Whatever the dialect, only the cells count (see `ton`).

Anybody can fill transactions of the shop's with what he likes. A page of them that is too large to
be read is asked for again with half as many, down to one.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from pytoniq_core.boc.address import Address
from pytoniq_core.boc.builder import Builder
from pytoniq_core.boc.cell import Cell

from actors.payments.chains import addresses, ton
from actors.payments.chains.api import Api
from actors.payments.chains.money import Network
from actors.payments.chains.verdict import transaction_id
from actors.payments.errors import AnswerTooLarge, ChainRefused, UntrustedHistory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterator

    from actors.payments.chains.ton import TonTransaction
    from actors.payments.shop import ShopChain

PAGE: Final = 256  # transactions of tonapi, which would give 1000: about 1 MB
CENTER_PAGE: Final = 100  # of toncenter, which gives no more
MAX_PAGES: Final = 5_000
MAX_BACKLOG: Final = 50_000  # transactions of toncenter, which lists from the newest
FOUND_AMONG: Final = 1_000  # of toncenter, which finds no transaction by its hash alone
CENTER: Final = "/api/v2"
_NO_LT: Final = 2**64  # is after all
_MASTERCHAIN_SHARD: Final = -(2**63)


class TonSource(Protocol):
    """TON as the shop reads it. All methods raise `ChainUnavailable` and `ChainRefused`."""

    @property
    def api(self) -> Api:
        """That is asked."""
        ...

    async def head_ms(self) -> int:
        """Time of the newest block of the masterchain, ms; 0 if the API does not tell it."""
        ...

    async def jetton_wallet(self, owner: str, master: str) -> str:
        """The jetton wallet of `owner` for `master`, raw form; "" if the API does not tell it."""
        ...

    def history(
        self, account: str, after_lt: int, since_ms: int
    ) -> AsyncIterator[list[TonTransaction]]:
        """Pages of an account's transactions after a logical time, oldest first, to the end.

        After the logical time 0, transactions before `since_ms` may be left out.

        Raises:
            UntrustedHistory: the pages do not end.
        """
        ...

    async def find(self, tx_id: str, accounts: Collection[str]) -> list[TonTransaction]:
        """The transactions of these accounts that `tx_id` led to, itself included.

        Raises:
            UntrustedHistory: it is shown in cells that are no such transaction.
        """
        ...


def connect(chain: ShopChain) -> Api:
    """An `Api` for this chain."""
    key = chain.api_key
    headers = {}
    if key is not None:
        secret = key.get_secret_value()
        is_center = chain.api_url.endswith(CENTER)
        headers = {"X-API-Key": secret} if is_center else {"Authorization": f"Bearer {secret}"}
    return Api(Network.TON, chain.api_url, headers, chain.rate)


def source(api: Api) -> TonSource:
    """The source in the dialect of the API."""
    return Toncenter(api) if api.base_url.endswith(CENTER) else Tonapi(api)


class Tonapi:
    """The dialect of tonapi."""

    def __init__(self, api: Api) -> None:
        self.api = api

    async def head_ms(self) -> int:
        """See `TonSource`."""
        try:
            head = await self.api.get("/v2/blockchain/masterchain-head", {})
        except ChainRefused:
            return 0
        return _time_ms(head, "gen_utime")

    async def jetton_wallet(self, owner: str, master: str) -> str:
        """See `TonSource`."""
        path = f"/v2/blockchain/accounts/{master}/methods/get_wallet_address"
        try:
            answer = await self.api.get(path, {"args": owner})
            return _address(_field(answer, "decoded", "jetton_wallet_address"))
        except (ChainRefused, ValueError):
            pass
        try:
            answer = await self.api.get(f"/v2/accounts/{owner}/jettons/{master}", {})
            return _address(_field(answer, "wallet_address", "address"))
        except (ChainRefused, ValueError):
            return ""

    async def history(
        self,
        account: str,
        after_lt: int,
        since_ms: int,  # noqa: ARG002 - it lists from the oldest, so nothing is gained by it
    ) -> AsyncIterator[list[TonTransaction]]:
        """See `TonSource`."""
        path = f"/v2/blockchain/accounts/{account}/transactions"
        pages = _Pages(self.api, path, PAGE)
        for _ in range(MAX_PAGES):
            answer = await pages.get({"after_lt": after_lt, "sort_order": "asc"})
            page = [_tonapi_transaction(row, account) for row in _rows(answer, "transactions")]
            new = sorted((one for one in page if one.lt > after_lt), key=lambda one: one.lt)
            if not new:
                return
            yield new
            after_lt = new[-1].lt  # until a page is empty: one may be short
        raise UntrustedHistory(Network.TON, f"it has more than {MAX_PAGES} pages")

    async def find(self, tx_id: str, accounts: Collection[str]) -> list[TonTransaction]:
        """See `TonSource`."""
        found = []
        trace = await self.api.find(f"/v2/traces/{tx_id}")
        for account, here in sorted(set(_of_trace(trace, accounts))):
            row = await self.api.find(f"/v2/blockchain/transactions/{here}")
            if row is not None:
                found.append(_tonapi_transaction(row, account))
        return found


class Toncenter:
    """The dialect of toncenter's v2, which lists from the newest transaction back."""

    def __init__(self, api: Api) -> None:
        self.api = api

    async def head_ms(self) -> int:
        """See `TonSource`."""
        try:
            info = await self.api.get("/getMasterchainInfo", {})
            seqno = _field(info, "result", "last", "seqno")
            if not isinstance(seqno, int):
                return 0
            block: dict[str, str | int] = {
                "workchain": -1,
                "shard": _MASTERCHAIN_SHARD,
                "seqno": seqno,
            }
            header = await self.api.get("/getBlockHeader", block)
        except ChainRefused:
            return 0
        return _time_ms(_field(header, "result"), "gen_utime")

    async def jetton_wallet(self, owner: str, master: str) -> str:
        """See `TonSource`."""
        cell = Builder().store_address(Address(owner)).end_cell()
        argument = base64.b64encode(cell.to_boc()).decode()
        body = {
            "address": master,
            "method": "get_wallet_address",
            "stack": [["tvm.Slice", argument]],
        }
        try:
            answer = await self.api.post("/runGetMethod", body)
            stack = _field(answer, "result", "stack")
            return _stack_address(stack)
        except (ChainRefused, ValueError):
            return ""

    async def history(
        self, account: str, after_lt: int, since_ms: int
    ) -> AsyncIterator[list[TonTransaction]]:
        """See `TonSource`."""
        found: dict[int, TonTransaction] = {}
        async for page in self._back(account, after_lt):
            found.update((one.lt, one) for one in page)
            if len(found) > MAX_BACKLOG:
                raise UntrustedHistory(Network.TON, f"it has more than {MAX_BACKLOG} transactions")
            if not after_lt and any(one.time_s * 1000 < since_ms for one in page):
                break
        ordered = [found[lt] for lt in sorted(found)]
        for start in range(0, len(ordered), PAGE):
            yield ordered[start : start + PAGE]

    async def find(self, tx_id: str, accounts: Collection[str]) -> list[TonTransaction]:
        """See `TonSource`; here among the newest transactions of the accounts alone."""
        for account in accounts:
            looked_at = 0
            async for page in self._back(account, 0):
                found = [one for one in page if one.tx_id == tx_id]
                if found:
                    return found
                looked_at += len(page)
                if looked_at >= FOUND_AMONG:
                    break
        return []

    async def _back(self, account: str, after_lt: int) -> AsyncIterator[list[TonTransaction]]:
        """Pages of an account's transactions, from the newest back to a logical time."""
        params: dict[str, str | int] = {
            "address": account,
            "to_lt": after_lt,
            "archival": "true",
        }
        pages = _Pages(self.api, "/getTransactions", CENTER_PAGE)
        oldest_lt = _NO_LT
        while True:
            answer = await pages.get(params)
            page = [_center_transaction(row, account) for row in _rows(answer, "result")]
            new = [one for one in page if after_lt < one.lt < oldest_lt]
            if not new:
                return
            yield new
            oldest = min(new, key=lambda one: one.lt)
            oldest_lt = oldest.lt
            last = base64.b64encode(bytes.fromhex(oldest.tx_id)).decode()
            params |= {"lt": oldest.lt, "hash": last}


class _Pages:
    """Asks for pages of an account's transactions, each as long as can be read."""

    def __init__(self, api: Api, path: str, limit: int) -> None:
        self._api = api
        self._path = path
        self._limit = limit

    async def get(self, params: Mapping[str, str | int]) -> Any:  # noqa: ANN401 - JSON
        while True:
            try:
                return await self._api.get(self._path, {**params, "limit": self._limit})
            except AnswerTooLarge:
                if self._limit == 1:
                    raise
                self._limit //= 2


def _rows(answer: object, name: str) -> list[Any]:
    rows = answer.get(name) if isinstance(answer, Mapping) else None
    if not isinstance(rows, list):
        raise UntrustedHistory(Network.TON, f"an answer without {name}")
    return rows


def _of_trace(trace: object, accounts: Collection[str]) -> Iterator[tuple[str, str]]:
    """Account and hash of the transactions of these accounts in a trace."""
    left = [trace]
    while left:
        one = left.pop()
        account = _field(one, "transaction", "account", "address")
        here = transaction_id(str(_field(one, "transaction", "hash")))
        if isinstance(account, str) and account in accounts and here is not None:
            yield account, here
        children = _field(one, "children")
        left += children if isinstance(children, list) else []


def _tonapi_transaction(row: object, account: str) -> TonTransaction:
    try:
        fields = row if isinstance(row, Mapping) else {}
        raw, tx_id = str(fields.get("raw", "")), str(fields.get("hash", "")).lower()
        return ton.parse(bytes.fromhex(raw), tx_id=tx_id, account=account)
    except ValueError as error:
        raise UntrustedHistory(Network.TON, str(error)) from None


def _center_transaction(row: object, account: str) -> TonTransaction:
    try:
        boc = base64.b64decode(str(_field(row, "data") or ""), validate=True)
        tx_id = base64.b64decode(str(_field(row, "transaction_id", "hash") or ""), validate=True)
        return ton.parse(boc, tx_id=tx_id.hex(), account=account)
    except (ValueError, binascii.Error) as error:
        raise UntrustedHistory(Network.TON, str(error)) from None


def _field(answer: object, *path: str) -> object:
    for name in path:
        answer = answer.get(name) if isinstance(answer, Mapping) else None
    return answer


def _time_ms(answer: object, name: str) -> int:
    time_s = _field(answer, name)
    return time_s * 1000 if isinstance(time_s, int) and 0 < time_s < 2**32 else 0


def _address(text: object) -> str:
    return addresses.ton(text) if isinstance(text, str) else ""


def _stack_address(stack: object) -> str:
    """The address that a get method returned as its only cell."""
    try:
        kind, value = stack[0]  # type: ignore[index]  # whatever it raises means: no address
        content = value["bytes"] if kind == "cell" else ""
        cell = Cell.one_from_boc(base64.b64decode(content))
        return addresses.raw(cell.begin_parse().load_address())
    except Exception as error:
        raise ValueError("a stack without an address") from error
