"""How fast a TRC-20 history is read into the ledger, and how few requests many orders cost.

What a scan costs is decided by the rate that the API allows, so the benchmark keeps that rate.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from pydantic import SecretStr

from actors.payments import scan as scanning
from actors.payments.catalogue import ShopPlan
from actors.payments.chains.money import Method, Network
from actors.payments.ledger.ledger import Ledger
from actors.payments.ledger.order_book import NewOrder
from actors.payments.ledger.orders import Delivers, OrderState
from actors.payments.shop import KEYLESS_TRON, ShopChain
from loadtests import history_api
from loadtests.benchmark import Findings, Progress, Table, benchmark, defect
from loadtests.spread import Spread

if TYPE_CHECKING:
    from actors.payments.scan import ScanResult

ROWS: Final = 10_000
ORDERS: Final = 1_000
PAID: Final = 5  # number of orders that are paid by rows among the others
RUNS: Final = 5
PROMISED_S: Final = 5.0
RATE: Final = KEYLESS_TRON[1]
_BEGUN_MS: Final = 1_760_000_000_000
_PRICE: Final = 9_900_000  # µUSDT; other transfers are of about half, which is not dust
_METHOD: Final = """\
A history of {rows:,} confirmed transfers to the wallet, served on loopback by a process of its \
own, in pages of 200; {orders:,} open orders; {paid} of the rows pay one of them each. The ledger \
is SQLite with synchronous=FULL, empty but for the orders, in each of {runs} runs. At most \
{rate:g} requests leave in a second, as TronGrid allows with a key: the pages alone take \
{floor:.1f} s of that. A scan ends with every row in the ledger, the orders that were paid settled \
by their receipts, and the rest in the review queue. The second scan finds nothing new but what \
lies within the overlap."""


@benchmark("payments", "Reading payments", ("sqlalchemy", "httpx", "tronpy"))
def measure(
    progress: Progress,
    *,
    rows: Annotated[
        int, typer.Option(min=100, max=200_000, help="Transfers in the history.")
    ] = ROWS,
    orders: Annotated[int, typer.Option(min=10, max=40_000, help="Open orders.")] = ORDERS,
    runs: Annotated[int, typer.Option(min=1, max=100, help="Runs, each on a new ledger.")] = RUNS,
) -> Findings:
    """Measure how fast a TRC-20 history is read, and what many open orders cost.

    Raises:
        Unavailable: a scan did not do all of its work.
    """
    taken: list[tuple[float, float, int, int]] = []
    for turn in range(runs):
        progress(f"run {turn + 1} of {runs}")
        with tempfile.TemporaryDirectory() as directory:
            taken.append(_one(Path(directory) / "ledger.db", rows, orders))
    first_s, second_s, first_requests, second_requests = (
        Spread.of(column) for column in zip(*taken, strict=True)
    )
    worst = max(first_s.values)
    shortcomings = (
        [f"{rows:,} rows took up to {worst:.2f} s instead of {PROMISED_S:g} s"]
        if rows == ROWS and worst > PROMISED_S
        else []
    )
    table = Table(
        ["", "s", "requests"],
        [
            ["the first scan", str(first_s), str(first_requests)],
            ["the second scan", str(second_s), str(second_requests)],
        ],
    )
    pages = -(-rows // history_api.PAGE)
    return Findings(
        method=_METHOD.format(
            rows=rows, orders=orders, paid=PAID, runs=runs, rate=RATE, floor=(pages - 1) / RATE
        ),
        tables=[table],
        findings=[
            f"{rows:,} rows are in the ledger after {first_s} s.",
            (
                f"{orders:,} open orders cost {first_requests} requests: {pages} pages, the"
                f" time of the chain, a receipt for each order that was paid and for"
                f" {scanning.OTHERS} other transfers."
            ),
        ],
        values={
            "rows": rows,
            "orders": orders,
            "rate": RATE,
            "first_s": first_s.as_dict(),
            "second_s": second_s.as_dict(),
            "first_requests": first_requests.as_dict(),
            "second_requests": second_requests.as_dict(),
        },
        shortcomings=shortcomings,
    )


def _one(path: Path, rows: int, orders: int) -> tuple[float, float, int, int]:
    with Ledger(SecretStr(f"sqlite:///{path}"), random.Random(1)) as ledger:
        listed = _history(ledger, rows, orders)
        with history_api.serving(listed) as url:
            chain = ShopChain(Network.TRON, url, None, history_api.WALLET, history_api.USDT, RATE)
            first, first_s = asyncio.run(_scan(chain, ledger))
            second, second_s = asyncio.run(_scan(chain, ledger))
        settled = ledger.orders.listing(states=[OrderState.CONFIRMED])
        if (first.transfers, first.settled, len(settled)) != (rows, PAID, PAID) or second.settled:
            raise defect("a scan did not do all of its work")
    return first_s, second_s, first.requests, second.requests


def _history(ledger: Ledger, rows: int, orders: int) -> list[dict[str, object]]:
    """Open the orders; returns the wallet's transfers, some of which pay for orders."""
    chain = ShopChain(Network.TRON, "", None, history_api.WALLET, history_api.USDT, RATE)
    plan = ShopPlan("plan", {"en": "Plan"}, {Method.TRON: _PRICE}, Delivers("licence"))
    opened = []
    for number in range(orders):
        new = NewOrder(f"request {number}", plan, Method.TRON, "pull", f"buyer {number}")
        opened.append(ledger.orders.create(new, chain, _BEGUN_MS))
    listed = [
        history_api.row(number, _PRICE // 2 + number, _BEGUN_MS + 100 * number)
        for number in range(rows)
    ]
    for number, order in enumerate(opened[:PAID]):
        at = number * (rows // PAID)
        listed[at] = history_api.row(at, order.amount, _BEGUN_MS + 100 * at)
    return listed


async def _scan(chain: ShopChain, ledger: Ledger) -> tuple[ScanResult, float]:
    now_ms = _BEGUN_MS + 40 * 60_000
    async with scanning.connect(chain) as api:
        start = time.perf_counter()
        result = await scanning.scan(chain, ledger, api, clock=lambda: now_ms)
        return result, time.perf_counter() - start


if __name__ == "__main__":
    measure.main()
