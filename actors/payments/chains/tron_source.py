"""TRON over HTTP: the TRC-20 history of TronGrid, and receipts from the solidity node.

GET  /v1/accounts/{address}/transactions/trc20
POST /walletsolidity/gettransactioninfobyid     through tronpy
POST /wallet/gettransactioninfobyid             the same, before it is solid
POST /walletsolidity/getnowblock
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from tronpy import AsyncTron
from tronpy.exceptions import (
    ApiError,
    TransactionError,
    TransactionNotFound,
    TvmError,
    UnknownError,
    ValidationError,
)
from tronpy.providers import AsyncHTTPProvider

from actors.payments.chains import tron
from actors.payments.chains.api import Api, Broken, read
from actors.payments.chains.money import Network
from actors.payments.chains.verdict import Reason, Rejected
from actors.payments.errors import ChainRefused, UntrustedHistory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from actors.payments.chains.verdict import Transfer
    from actors.payments.shop import ShopChain

PAGE: Final = 200  # rows; the API gives no more
ROUND: Final = 10  # rows; the limit that an API sets by itself is a multiple
MAX_PAGES: Final = 5_000
# What the library raises for an answer that contains an error.
_NODE_ERRORS: Final = (ApiError, TransactionError, TvmError, UnknownError, ValidationError)


class TronSource:
    """TRON as the shop reads it.

    Args:
        chain: the shop's wallet, contract and API.
        api: the API to ask, see `connect`.
    """

    def __init__(self, chain: ShopChain, api: Api) -> None:
        self.chain = chain
        self.api = api
        provider = AsyncHTTPProvider(endpoint_uri=f"{api.base_url}/", client=api.client)
        # The library would replace a key that is missing by keys of its own, shared by everybody.
        provider.use_api_key = False
        self._tron = AsyncTron(provider)

    async def head_ms(self) -> int:
        """Time of the last solid block, ms; 0 if the API does not tell it.

        Raises:
            ChainUnavailable: the API does not answer.
        """
        try:
            block = await self.api.post("/walletsolidity/getnowblock", {})
        except ChainRefused:
            return 0
        header = block.get("block_header", {}) if isinstance(block, Mapping) else {}
        raw = header.get("raw_data", {}) if isinstance(header, Mapping) else {}
        time_ms = raw.get("timestamp") if isinstance(raw, Mapping) else None
        return time_ms if tron.is_time(time_ms) else 0

    async def history(self, since_ms: int, until_ms: int) -> AsyncIterator[tuple[list[Any], bool]]:
        """Pages of rows of the wallet's TRC-20 history in a span of time; the last one says so.

        Raises:
            ChainUnavailable: the API does not answer.
            ChainRefused: a setting is wrong.
            UntrustedHistory: the pages go round in circles or do not end.
        """
        span: dict[str, str | int] = {
            "only_to": "true",
            "contract_address": self.chain.contract,
            "min_timestamp": since_ms,
            "max_timestamp": until_ms,
            "limit": PAGE,
            "order_by": "block_timestamp,asc",
        }
        path = f"/v1/accounts/{self.chain.wallet}/transactions/trc20"
        seen: set[str] = set()
        onward: dict[str, str | int] = {}
        for _ in range(MAX_PAGES):
            rows, fingerprint = await self._page(path, {**span, **onward})
            start_ms = None if fingerprint else _next_start(rows, int(span["min_timestamp"]))
            is_last = fingerprint is None and start_ms is None
            yield rows, is_last
            if is_last:
                return
            if fingerprint is None:
                span, onward = {**span, "min_timestamp": start_ms or 0}, {}
                continue
            if fingerprint in seen:
                raise UntrustedHistory(Network.TRON, "a page leads back to one that was read")
            seen.add(fingerprint)
            onward = {"fingerprint": fingerprint}
        raise UntrustedHistory(Network.TRON, f"it has more than {MAX_PAGES} pages")

    async def _page(
        self, path: str, params: Mapping[str, str | int]
    ) -> tuple[list[Any], str | None]:
        async def ask() -> tuple[list[Any], str | None]:
            response = await self.api.client.get(self.api.base_url + path, params=dict(params))
            return page_of(read(response))

        return await self.api.attempting(ask)

    async def receipt(self, tx_id: str) -> tuple[Transfer, ...] | Rejected | None:
        """The transfers that a solid receipt proves, why there is none, or None: not solid yet.

        Raises:
            ChainUnavailable: the API does not answer.
            ChainRefused: a setting is wrong.
        """
        return await self._receipt(self._tron.get_solid_transaction_info, tx_id)

    async def early_receipt(self, tx_id: str) -> tuple[Transfer, ...] | Rejected | None:
        """What a receipt says whose block may yet be given up: it credits nothing; raises alike."""
        return await self._receipt(self._tron.get_transaction_info, tx_id)

    async def _receipt(
        self, get: Callable[[str], Awaitable[Any]], tx_id: str
    ) -> tuple[Transfer, ...] | Rejected | None:
        async def ask() -> tuple[Transfer, ...] | Rejected | None:
            try:
                found: Any = await get(tx_id)
            except TransactionNotFound:
                return None
            except _NODE_ERRORS as error:
                raise Broken(f"a node's error: {type(error).__name__}") from None
            except (ValueError, AttributeError, TypeError, KeyError):
                # No JSON, or JSON of a shape that the library does not expect.
                raise Broken("a receipt of another shape") from None
            verdict = tron.read_receipt(
                found,
                tx_id,
                wallet=self.chain.wallet,
                contract=self.chain.contract,
                since_ms=self.chain.since_ms,
            )
            if isinstance(verdict, Rejected) and verdict.reason is Reason.MALFORMED:
                # It says nothing about the transaction, which may have paid.
                raise Broken("a receipt of another shape")
            return verdict

        return await self.api.attempting(ask)


def _next_start(rows: Sequence[object], start_ms: int) -> int | None:
    """From when on to ask again after a page that names no next one; None: it was the last.

    That a page does not say that there is more is no proof that there is none. The last one is
    shorter than any limit, be it the one that was asked for or one of the API's own; or it has
    nothing that is newer than what it was asked for from.

    Args:
        rows: the page.
        start_ms: from when on it was asked for.

    Raises:
        UntrustedHistory: there may be more, and nobody knows where.
    """
    full = len(rows) >= PAGE
    if not rows or not (full or len(rows) % ROUND == 0):
        return None
    times = [time_ms for row in rows if (time_ms := tron.row_ms(row)) is not None]
    newest_ms = max(times, default=start_ms)
    if full and (newest_ms <= start_ms or times != sorted(times)):
        raise UntrustedHistory(
            Network.TRON, f"a page of {len(rows)} rows names no next one, and not where that begins"
        )
    return newest_ms if newest_ms > start_ms else None


def page_of(answer: object) -> tuple[list[Any], str | None]:
    """Rows and fingerprint of a page.

    Raises:
        Broken: it is not one.
    """
    fields = answer if isinstance(answer, Mapping) else {}
    rows, meta = fields.get("data"), fields.get("meta")
    if fields.get("success") is not True or not isinstance(rows, list):
        raise Broken("a page without rows")
    fingerprint = meta.get("fingerprint") if isinstance(meta, Mapping) else None
    if fingerprint is not None and not isinstance(fingerprint, str):
        raise Broken("a page without a proper fingerprint")
    return rows, fingerprint or None


def connect(chain: ShopChain) -> Api:
    """An `Api` for this chain."""
    key = chain.api_key
    headers = {} if key is None else {"TRON-PRO-API-KEY": key.get_secret_value()}
    return Api(Network.TRON, chain.api_url, headers, chain.rate)
