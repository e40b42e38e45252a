"""A database whose bytes are damaged within a record: that costs the record, and none beside it."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from actors.payments.chains.money import Method
from actors.payments.errors import DamagedRecord
from actors.payments.ledger import schema
from actors.payments.ledger.ledger import Ledger
from actors.payments.ledger.order_book import WINDOW_MS
from actors.payments.ledger.orders import OrderState
from actors.runtime.errors import X0Error
from tests.unit.payments import ledgers
from tests.unit.payments.shop import NOW, chain_of, order, transfer

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.payments.ledger.orders import Order

ODD = ("CAST(x'ff41' AS TEXT)", "x'00ff'", "'nothing known'", "-7", "1.5", "NULL")
"""What damaged bytes may read as, in SQL: no UTF-8, no text, another word, another number."""
COLUMNS = [
    (table.name, column.name)
    for table in (schema.orders, schema.reviews, schema.payments, schema.outbox)
    for column in table.columns
    if not column.primary_key and column.name not in {"order_id", "network", "tx_id", "position"}
]


def damage(path: Path, table: str, column: str, value: str, row: int) -> None:
    """Put a value into a row that no program would write."""
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA ignore_check_constraints = ON")
        database.execute("PRAGMA writable_schema = ON")
        kept = f"SELECT rowid FROM {table} ORDER BY rowid LIMIT 1 OFFSET {row}"  # noqa: S608 - constants
        database.execute(f"UPDATE {table} SET {column} = {value} WHERE rowid = ({kept})")  # noqa: S608
    database.close()


def fill(ledger: Ledger) -> list[Order]:
    """Two orders on each chain; the first of each was paid too little."""
    made = [
        order(ledger, f"{method} {number}", method=method)
        for method in (Method.TON, Method.TRON)
        for number in range(2)
    ]
    at = ledger.intake.open(Method.TON.network, chain_of(Method.TON).wallet)
    for number, one in enumerate(made[:2], start=1):
        short = transfer(
            one.amount - 5, one.id, method=Method.TON, comment=one.comment, block_ms=NOW + number
        )
        ledger.intake.apply(at, [short], NOW, position=number, mark="00")
        at = ledger.intake.open(Method.TON.network, chain_of(Method.TON).wallet)
    return made


def pay(ledger: Ledger, one: Order) -> None:
    at = ledger.intake.open(one.method.network, one.wallet)
    paid = transfer(one.amount, "paid", method=one.method, block_ms=NOW + 1)
    ledger.intake.settle(at, paid.tx_id, [paid], NOW)


def tried(*work: Callable[[], object]) -> None:
    """Each does its work, or says in the project's own words why not."""
    for one in work:
        with contextlib.suppress(X0Error):
            one()


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(COLUMNS), st.sampled_from(ODD))
def test_damage_costs_the_record_that_it_is_in(where: tuple[str, str], value: str) -> None:
    """Whatever one field of one record reads as, all others are listed, paid and told."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "ledger.db"
        url = ledgers.sqlite(path)
        with Ledger(url) as ledger:
            made = fill(ledger)
        try:
            damage(path, *where, value, row=0)
        except sqlite3.IntegrityError:
            return  # NULL where none may be: no row like that is ever read
        with Ledger(url) as ledger:
            others = {one.id for one in made[1:]}
            assert others <= {one.id for one in ledger.orders.listing()}
            entries = {one.order for one in ledger.reviews.listing()}
            assert made[1].id in entries
            pay(ledger, made[3])
            assert ledger.orders.get(made[3].id).state is OrderState.CONFIRMED
            told = {one.order.id for one in ledger.outbox.claim("pull", NOW)}
            assert {made[1].id, made[3].id} <= told
            tried(
                lambda: ledger.orders.get(made[0].id),
                lambda: ledger.orders.payments(made[0].id),
                lambda: ledger.reviews.of_order(made[0].id),
                ledger.reviews.count,
                ledger.report,
                ledger.refunds.listing,
            )
            at = ledger.intake.open(Method.TRON.network, made[2].wallet)
            ledger.intake.complete([at], NOW + 2 * WINDOW_MS, NOW)
            assert ledger.orders.get(made[2].id).state is OrderState.EXPIRED


@pytest.mark.parametrize("value", ["'delivred'", "CAST(x'ff' AS TEXT)", "x'ff'"])
def test_a_damaged_order_is_named_with_the_remedy(tmp_path: Path, value: str) -> None:
    """Asked for by itself, it is an error that says which record it is, and what to restore."""
    url = ledgers.sqlite(tmp_path / "ledger.db")
    with Ledger(url) as ledger:
        one = fill(ledger)[0]
    damage(tmp_path / "ledger.db", "orders", "state", value, row=0)
    with Ledger(SecretStr(url.get_secret_value())) as ledger:
        with pytest.raises(DamagedRecord, match=f"order {one.id}") as caught:
            ledger.orders.get(one.id)
        assert "Restore it from a copy" in caught.value.remedy
        assert len(ledger.orders.listing()) == 3
