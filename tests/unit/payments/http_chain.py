"""A loopback server that answers as TronGrid, tonapi and toncenter do, and misbehaves on request.

It speaks HTTP/1.1 on raw sockets, because much of the misbehaviour (resets, bodies cut short) is
below what a web framework lets one do. It notes when each request came, to assert the rate by.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from pytoniq_core import Address, Builder

from tests.unit.payments.shop import JETTON_WALLET, NOW, TON_WALLET, tx_id
from tests.unit.payments.ton_cells import TonAccount, message, notification

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True)
class Asked:
    """One request."""

    number: int
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    at: float  # s, monotonic


@dataclass(frozen=True)
class Answer:
    """What is answered; `cut` bytes of the body are withheld, `reset` breaks the connection."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0
    reset: bool = False
    delay_s: float = 0.0
    raw: bytes | None = None


@dataclass
class Chains:
    """Everything that the server knows."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    receipts: dict[str, dict[str, Any]] = field(default_factory=dict)
    head_ms: int | None = NOW + 60_000
    accounts: dict[str, TonAccount] = field(default_factory=lambda: {TON_WALLET: TonAccount()})
    jetton_wallet: str | None = JETTON_WALLET
    page: int = 200
    ignores_times: bool = False
    unmarked: bool = False  # pages of TRON's index do not say that they go on
    newest: bool = False  # tonapi lists the newest of an account, from whenever it was asked for
    early: dict[str, dict[str, Any]] = field(default_factory=dict)  # receipts that are not solid
    shown: dict[str, int] = field(default_factory=dict)  # tonapi lists so many; others: all
    fault: Callable[[Asked], Answer | None] = lambda _: None
    asked: list[Asked] = field(default_factory=list)
    _fingerprints: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, row: dict[str, Any], receipt: dict[str, Any] | None) -> None:
        """Add a row and its receipt."""
        self.rows.append(row)
        if receipt is not None:
            self.receipts[receipt["id"]] = receipt

    def pay_jettons(
        self,
        text: str,
        amount: int,
        *,
        wallet: str = JETTON_WALLET,
        time_s: int = NOW // 1000 + 60,
        end: str = "active",
    ) -> None:
        """Have jettons arrive at a jetton wallet, which sends the shop's wallet a notice of it."""
        account = self.accounts.setdefault(wallet, TonAccount(wallet))
        notice = message(notification(amount, text), source=wallet, destination=TON_WALLET, value=1)
        account.receive_jettons(text, amount, time_s=time_s, outgoing=(notice,))
        self.accounts[TON_WALLET].notice(text, amount, wallet=wallet, time_s=time_s, end=end)

    def answer(self, asked: Asked) -> Answer:
        """The answer to a request."""
        self.asked.append(asked)
        faulty = self.fault(asked)
        if faulty is not None:
            return faulty
        path = asked.path
        if path.startswith("/v1/accounts/") and path.endswith("/transactions/trc20"):
            return self._history(asked)
        if path.endswith("/gettransactioninfobyid"):
            known = self.receipts if "solidity" in path else {**self.early, **self.receipts}
            return Answer(body=known.get(asked.body["value"], {}))
        if path == "/walletsolidity/getnowblock":
            if self.head_ms is None:
                return Answer(404, {"Error": "no such path"})
            return Answer(body={"block_header": {"raw_data": {"timestamp": self.head_ms}}})
        return self._ton(asked)

    def _history(self, asked: Asked) -> Answer:
        query = dict(asked.query)
        fingerprint = query.pop("fingerprint", None)
        start = 0
        if fingerprint is not None:
            if self._fingerprints.get(fingerprint) != query:
                return Answer(400, {"success": False, "error": "parameters changed"})
            start = int(fingerprint.rpartition("-")[2])
        low, high = int(query["min_timestamp"]), int(query["max_timestamp"])
        rows = sorted(self.rows, key=lambda row: row["block_timestamp"])
        if not self.ignores_times:
            rows = [row for row in rows if low <= row["block_timestamp"] <= high]
        size = min(self.page, int(query["limit"]))
        shown = rows[start : start + size]
        meta: dict[str, Any] = {"at": self.head_ms, "page_size": len(shown)}
        if start + size < len(rows) and not self.unmarked:
            token = f"{tx_id(json.dumps(query, sort_keys=True))[:12]}-{start + size}"
            self._fingerprints[token] = query
            meta["fingerprint"] = token
        return Answer(body={"success": True, "meta": meta, "data": shown})

    def _ton(self, asked: Asked) -> Answer:
        path = unquote(asked.path)
        if path == "/v2/blockchain/masterchain-head" and self.head_ms is not None:
            return Answer(body={"gen_utime": self.head_ms // 1000})
        if path.endswith("/methods/get_wallet_address") and self.jetton_wallet:
            return Answer(
                body={"success": True, "decoded": {"jetton_wallet_address": self.jetton_wallet}}
            )
        if path.startswith("/v2/blockchain/accounts/") and path.endswith("/transactions"):
            account = self.accounts.get(path.split("/")[4], TonAccount())
            after, limit = int(asked.query.get("after_lt", 0)), int(asked.query["limit"])
            listed_ones = account.made[: self.shown.get(account.address)]
            made = [one for one in listed_ones if one.lt > after][: min(limit, self.page)]
            if self.newest:
                made = account.made[-min(limit, self.page) :]
            listed = [{"hash": one.tx_id, "lt": one.lt, "raw": one.boc.hex()} for one in made]
            return Answer(body={"transactions": listed})
        if path.startswith(("/v2/traces/", "/v2/blockchain/transactions/")):
            return self._found(*path.rsplit("/", 2)[1:])
        if path.startswith("/api/v2/"):
            return self._center(path.removeprefix("/api/v2"), asked)
        return Answer(404, {"error": "entity not found"})

    def _found(self, asked_for: str, name: str) -> Answer:
        for account in self.accounts.values():
            for one in account.made[: self.shown.get(account.address)]:
                if one.tx_id == name and asked_for == "traces":
                    mine = {"account": {"address": account.address}, "hash": name}
                    return Answer(body={"transaction": mine, "children": []})
                if one.tx_id == name:
                    return Answer(body={"hash": name, "lt": one.lt, "raw": one.boc.hex()})
        return Answer(404, {"error": "entity not found"})

    def _center(self, path: str, asked: Asked) -> Answer:
        if path == "/getMasterchainInfo" and self.head_ms is not None:
            return Answer(body={"ok": True, "result": {"last": {"seqno": 7}}})
        if path == "/getBlockHeader" and self.head_ms is not None:
            return Answer(body={"ok": True, "result": {"gen_utime": self.head_ms // 1000}})
        if path == "/runGetMethod" and self.jetton_wallet:
            cell = Builder().store_address(Address(self.jetton_wallet)).end_cell()
            content = base64.b64encode(cell.to_boc()).decode()
            return Answer(body={"ok": True, "result": {"stack": [["cell", {"bytes": content}]]}})
        if path == "/getTransactions":
            account = _remembered(self.accounts.get(asked.query["address"], TonAccount()))
            newest = int(asked.query.get("lt", 2**63))
            # A page begins with the one that was named, so one of a single entry leads nowhere.
            limit = min(int(asked.query["limit"]), max(2, self.page))
            made = [one for one in reversed(account.made) if one.lt <= newest][:limit]
            listed = [
                {
                    "data": base64.b64encode(one.boc).decode(),
                    "transaction_id": {
                        "lt": str(one.lt),
                        "hash": base64.b64encode(bytes.fromhex(one.tx_id)).decode(),
                    },
                }
                for one in made
                if one.lt > int(asked.query.get("to_lt", 0))
            ]
            return Answer(body={"ok": True, "result": listed})
        return Answer(404, {"ok": False})

    def busiest_second(self) -> int:
        """How many requests came in any one second, at most."""
        times = sorted(one.at for one in self.asked)
        start, most = 0, 0
        for end, at in enumerate(times):
            while at - times[start] >= 1.0:
                start += 1
            most = max(most, end - start + 1)
        return most


SERVED: dict[str, Chains] = {}
"""What is served, by URL."""


def clock_of(url: str) -> int:
    """What a right clock says beside the chains that are served there, ms."""
    return SERVED["/".join(url.split("/")[:3])].head_ms or NOW


def _remembered(account: TonAccount) -> TonAccount:
    """What toncenter lists of an account: it follows its state, which an end takes with it."""
    ends = [number for number, one in enumerate(account.made) if one.ended]
    return TonAccount(account.address, account.made[ends[-1] + 1 :] if ends else account.made)


@contextlib.contextmanager
def serving(chains: Chains) -> Iterator[str]:
    """Serve on a free loopback port; the URL."""
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    ports: list[int] = []
    stopping = asyncio.Event()

    async def main() -> None:
        server = await asyncio.start_server(lambda r, w: _connection(chains, r, w), "127.0.0.1", 0)
        ports.append(server.sockets[0].getsockname()[1])
        ready.set()
        await stopping.wait()
        server.close()

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),), daemon=True)
    thread.start()
    assert ready.wait(120)
    url = f"http://127.0.0.1:{ports[0]}"
    SERVED[url] = chains
    try:
        yield url
    finally:
        del SERVED[url]
        loop.call_soon_threadsafe(stopping.set)
        thread.join(120)
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


async def _asked(reader: asyncio.StreamReader, number: int) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    pairs = (line.partition(":") for line in head[1:] if line)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    content = await reader.readexactly(int(headers.get("content-length", 0)))
    parts = urlsplit(target)
    return Asked(
        number,
        method,
        parts.path,
        dict(parse_qsl(parts.query)),
        headers,
        json.loads(content) if content else None,
        time.monotonic(),
    )


async def _connection(
    chains: Chains, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            answer = chains.answer(await _asked(reader, len(chains.asked)))
            if answer.delay_s:
                await asyncio.sleep(answer.delay_s)
            if answer.reset:
                writer.transport.abort()
                return
            body = answer.raw if answer.raw is not None else json.dumps(answer.body).encode()
            lines = [f"HTTP/1.1 {answer.status} status", f"Content-Length: {len(body)}"]
            lines += [f"{name}: {value}" for name, value in answer.headers.items()]
            writer.write("\r\n".join([*lines, "", ""]).encode() + body[: len(body) - answer.cut])
            await writer.drain()
            if answer.cut:
                writer.transport.close()
                return
    writer.close()
