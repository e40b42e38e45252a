"""A crash at any point, and then a replay, equals no crash. The crashes are real SIGKILLs."""

from __future__ import annotations

import random
import signal
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from actors.payments.chains.money import Method
from actors.payments.ledger import schema
from actors.payments.ledger.ledger import Ledger
from actors.payments.ledger.order_book import WINDOW_MS
from actors.payments.ledger.orders import OrderState
from actors.payments.ledger.outbox import CLAIM_MS
from tests.integration.payments import lives
from tests.integration.payments.lives import Kill
from tests.unit.payments import ledgers
from tests.unit.payments.http_chain import Chains, serving
from tests.unit.payments.shop import (
    DOWNLOAD,
    MINUTE,
    NOW,
    TON_WALLET,
    USDT,
    log,
    order,
    receipt,
    row,
    ton_chain,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIDES: tuple[Literal["before", "after"], ...] = ("before", "after")
Stock = dict[sa.Table, list[dict[str, Any]]]

FORMER = "0:" + "7" * 64  # a wallet that the shop had once, and does not read any more
DAY = 86_400_000  # ms
LATE = NOW + WINDOW_MS + 10 * MINUTE


@pytest.fixture
def chains() -> Iterator[tuple[Chains, str]]:
    known = Chains(head_ms=LATE)
    with serving(known) as url:
        yield known, url


def stock(database: str, chains: Chains) -> Stock:
    """Orders of every kind, and what was paid for them on both chains."""
    with Ledger(SecretStr(database), random.Random(1)) as ledger:
        paid, seen = order(ledger, "paid", plan=DOWNLOAD), order(ledger, "seen")
        order(ledger, "unpaid")
        late, coins = order(ledger, "late"), order(ledger, "coins", method=Method.TON)
        chain = replace(ton_chain(), wallet=FORMER)
        order(ledger, "former", method=Method.TON, chain=chain, now_ms=NOW - 3 * DAY)
        tokens, less = (order(ledger, name, method=Method.TON_USDT) for name in ("tokens", "less"))
        at = ledger.intake.open(paid.method.network, paid.wallet)
        ledger.intake.note(at, USDT, [], NOW)
        rows = {
            table: [dict(one._mapping) for one in ledgers.rows(ledger, table)]
            for table in schema.METADATA.sorted_tables
        }
    for name, amount, block_ms in (
        ("paid", paid.amount, NOW + MINUTE),
        ("again", paid.amount, NOW + 2 * MINUTE),
        ("late", late.amount, NOW + WINDOW_MS + MINUTE),
        ("nobody's", 5, NOW + 3 * MINUTE),
    ):
        chains.add(
            row(amount, name, block_ms=block_ms),
            receipt(log(amount), name=name, block_ms=block_ms),
        )
    chains.rows.append(row(seen.amount, "seen", unconfirmed=True))
    chains.add(row(7, "reverted"), receipt(log(7), name="reverted", result="REVERT"))
    shop = chains.accounts[TON_WALLET]
    shop.pay(coins.comment, coins.amount + 5)
    chains.pay_jettons(tokens.comment, tokens.amount)
    shop.notice(tokens.comment, tokens.amount, wallet=TON_WALLET)
    chains.pay_jettons(less.comment, less.amount - 1)
    return rows


def restore(database: str, rows: Stock) -> None:
    """Put a database back to where it was, whatever has happened to it."""
    with Ledger(SecretStr(database)) as ledger:
        ledgers.wipe(ledger)
        with ledger.database.writing() as connection:
            for table, values in rows.items():
                if values:
                    connection.execute(table.insert(), values)


STATES = {
    "paid": OrderState.DELIVERED,
    "seen": OrderState.SEEN,
    "unpaid": OrderState.EXPIRED,
    "late": OrderState.CLOSED,
    "coins": OrderState.DELIVERED,
    "tokens": OrderState.DELIVERED,
    "less": OrderState.DELIVERED,
    "former": OrderState.EXPIRED,
    "new": OrderState.NEW,
}


def ended(database: str) -> dict[str, Any]:
    with Ledger(SecretStr(database)) as ledger:
        ledgers.check(ledger)
        return {**ledgers.snapshot(ledger), "messages": ledgers.messages(ledger)}


def sent(directory: Path) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    path = directory / "sent.txt"
    for line in path.read_text().splitlines() if path.exists() else ():
        request, kind, goods = line.rsplit(" ", 2)
        found[request, kind].append(goods)
    return found


def test_a_crash_anywhere_and_a_replay_equal_no_crash(
    database_url: str, chains: tuple[Chains, str], tmp_path: Path
) -> None:
    """Killed around each commit of a day, and then lived again: the same ledger.

    What is written is the same after a commit as before the next one. So a life ends before each;
    and after those alone that a message follows, which has left or not left by then.
    """
    known, url = chains
    rows = stock(database_url, known)
    assert lives.run(database_url, url, tmp_path, LATE) == 0
    expected = ended(database_url)
    assert {row[0].removeprefix("request "): row[1] for row in expected["orders"]} == STATES
    once = sent(tmp_path)
    followed = {int(line) for line in (tmp_path / "sent.commits").read_text().split()}
    assert len(followed) > 5, "messages leave one by one"
    for commit in range(1, 100):
        code = 0
        for side in SIDES if commit in followed else SIDES[:1]:
            directory = tmp_path / f"{commit}-{side}"
            directory.mkdir()
            restore(database_url, rows)
            code = lives.run(database_url, url, directory, LATE, Kill(commit, side))
            assert code in {0, -signal.SIGKILL}
            # Later than every claim of the one that died.
            assert lives.run(database_url, url, directory, LATE + CLAIM_MS + 1) == 0
            assert ended(database_url) == expected, f"killed {side} commit {commit}"
            delivered = sent(directory)
            assert set(delivered) == set(once), "each message at least once"
            for goods in delivered.values():
                assert len(set(goods)) == 1, "repeated with the same link"
                assert len(goods) <= 2
        if code == 0:
            break
    assert commit > 20, "a day has more commits than that"
    assert commit > max(followed)


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("commit", [1, 2, 3])
def test_a_crash_while_the_tables_are_made(
    database_url: str,
    chains: tuple[Chains, str],
    tmp_path: Path,
    side: Literal["before", "after"],
    commit: int,
) -> None:
    """An empty database that was left half-way is finished by whoever comes next."""
    code = lives.run(database_url, chains[1], tmp_path, NOW, Kill(commit, side, "all"))
    assert code == -signal.SIGKILL
    assert lives.run(database_url, chains[1], tmp_path, NOW + CLAIM_MS + 1) == 0
    assert [row[0] for row in ended(database_url)["orders"]] == ["request new"]
