"""A TRC-20 history and its receipts on loopback, in a process of their own, for `payments`.

Only what a scan of TRON asks for: the wallet's history in pages of 200, newest block last, the
receipt of each transaction, and the time of the last solid block.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

import base58

from actors.payments.chains.tron import TRANSFER_TOPIC

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

PAGE: Final = 200


def address(name: str) -> str:
    """The TRON address that this history gives to a name."""
    return base58.b58encode_check(b"\x41" + hashlib.sha256(name.encode()).digest()[:20]).decode()


WALLET: Final = address("shop")
USDT: Final = address("USDT")
_BUYER: Final = address("buyer")


def row(number: int, amount: int, block_ms: int) -> dict[str, Any]:
    """A transfer of `amount` µUSDT to the wallet, as the index lists it."""
    return {
        "transaction_id": hashlib.sha256(str(number).encode()).hexdigest(),
        "token_info": {"address": USDT, "symbol": "USDT", "decimals": 6, "name": "Tether USD"},
        "block_timestamp": block_ms,
        "from": _BUYER,
        "to": WALLET,
        "type": "Transfer",
        "value": str(amount),
    }


def receipt(listed: dict[str, Any]) -> dict[str, Any]:
    """The solid receipt of a row."""
    ends = (base58.b58decode_check(listed[end])[1:].hex() for end in ("from", "to"))
    return {
        "id": listed["transaction_id"],
        "blockTimeStamp": listed["block_timestamp"],
        "receipt": {"result": "SUCCESS"},
        "log": [
            {
                "address": listed["token_info"]["address"],
                "topics": [TRANSFER_TOPIC, *(end.rjust(64, "0") for end in ends)],
                "data": f"{int(listed['value']):064x}",
            }
        ],
    }


@contextlib.contextmanager
def serving(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Serve `rows`, oldest first, for the length of a block; yields the URL."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_serve, args=(rows, there))
    process.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}"
    finally:
        process.kill()  # it has inherited handlers of signals that end it less quietly
        process.join()


def _serve(rows: list[dict[str, Any]], pipe: Connection) -> None:
    known = {listed["transaction_id"]: listed for listed in rows}
    head = {"block_header": {"raw_data": {"timestamp": rows[-1]["block_timestamp"] + 60_000}}}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            query = {
                name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()
            }
            low, high = int(query["min_timestamp"]), int(query["max_timestamp"])
            listed = [one for one in rows if low <= one["block_timestamp"] <= high]
            start = int(query.get("fingerprint", 0))
            meta: dict[str, object] = {"page_size": PAGE}
            if start + PAGE < len(listed):
                meta["fingerprint"] = str(start + PAGE)
            self._answer({"success": True, "meta": meta, "data": listed[start : start + PAGE]})

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            wanted = known.get(asked.get("value", ""))
            if self.path.endswith("getnowblock"):
                self._answer(head)
            else:
                self._answer({} if wanted is None else receipt(wanted))

        def _answer(self, body: object) -> None:
            content = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    pipe.send(server.server_port)
    server.serve_forever()
