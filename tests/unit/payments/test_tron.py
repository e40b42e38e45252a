"""TRON: only what the solid receipt proves is a transfer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.payments.chains import tron
from actors.payments.chains.money import MAX_AMOUNT, Method
from actors.payments.chains.tron import read_receipt, sift
from actors.payments.chains.verdict import Reason, Rejected, Sighting, Transfer
from tests.unit.payments.shop import (
    BUYER,
    FAKE_USDT,
    MINUTE,
    NOW,
    USDT,
    WALLET,
    hex_of,
    log,
    receipt,
    row,
    tx_id,
)


def sifted(*rows: object) -> tron.Sifted:
    return sift(rows, wallet=WALLET, contract=USDT, since_ms=NOW)


def read(given_receipt: dict[str, Any], name: object = "t") -> tuple[Transfer, ...] | Rejected:
    return read_receipt(given_receipt, tx_id(name), wallet=WALLET, contract=USDT)


def test_a_good_row_is_a_sighting() -> None:
    """Its fields are taken as they are, the id in lower case."""
    good = row(5)
    good["transaction_id"] = good["transaction_id"].upper()
    expected = Sighting(tx_id("t"), 5, NOW + MINUTE, confirmed=True)
    assert sifted(good) == tron.Sifted((expected,), ())


def test_addresses_may_be_written_as_hex() -> None:
    """An index that writes hex lists the same transfers."""
    found = sifted(row(5, to="41" + hex_of(WALLET), token=hex_of(USDT)))
    assert [one.amount for one in found.sightings] == [5]


def test_an_unconfirmed_row_is_seen_and_rejected() -> None:
    """It may show that an order was paid, and credits nothing."""
    found = sifted(row(5, unconfirmed=True))
    assert [one.confirmed for one in found.sightings] == [False]
    assert found.rejected == (Rejected(tx_id("t"), Reason.UNCONFIRMED),)


def test_the_least_the_largest_and_the_oldest_that_count() -> None:
    """One unit, what a column holds, and a block at the very start are the shop's."""
    found = sifted(row(MAX_AMOUNT, block_ms=NOW))
    assert [(one.amount, one.block_ms) for one in found.sightings] == [(MAX_AMOUNT, NOW)]
    proved = read(receipt(log(1), log(MAX_AMOUNT)))
    assert isinstance(proved, tuple)
    assert [one.amount for one in proved] == [1, MAX_AMOUNT]


def test_a_verdict_repeats_little_of_what_is_no_id() -> None:
    """However long a text an index puts in its place."""
    bad = {**row(5), "transaction_id": "x" * 10**6}
    assert sifted(bad).rejected == (Rejected("x" * 64, Reason.MALFORMED),)


BAD_ROWS: list[tuple[object, Reason]] = [
    (None, Reason.MALFORMED),
    ([], Reason.MALFORMED),
    ({}, Reason.MALFORMED),
    ({**row(5), "transaction_id": "xyz"}, Reason.MALFORMED),
    (row(5, kind="Approval"), Reason.NOT_A_TRANSFER),
    (row(5, token=FAKE_USDT), Reason.WRONG_TOKEN),
    ({**row(5), "token_info": None}, Reason.WRONG_TOKEN),
    ({**row(5), "token_info": {"symbol": "USDT"}}, Reason.WRONG_TOKEN),
    (row(5, to=BUYER), Reason.WRONG_RECIPIENT),
    ({**row(5), "to": None}, Reason.WRONG_RECIPIENT),
    (row(5, to="garbage"), Reason.WRONG_RECIPIENT),
    (row(0), Reason.NOT_POSITIVE),
    (row("00"), Reason.NOT_POSITIVE),
    (row("-5"), Reason.MALFORMED),
    (row("5.0"), Reason.MALFORMED),
    (row("9" * 79), Reason.MALFORMED),
    (row(MAX_AMOUNT + 1), Reason.ABSURD_AMOUNT),
    (row(5, block_ms=NOW - 1), Reason.BEFORE_START),
    ({**row(5), "block_timestamp": "1"}, Reason.MALFORMED),
    ({**row(5), "block_timestamp": True}, Reason.MALFORMED),
    ({**row(5), "block_timestamp": 0}, Reason.MALFORMED),
    ({**row(5), "block_timestamp": 2**60}, Reason.MALFORMED),
    ({**row(5), "block_timestamp": 253_402_300_800_000}, Reason.MALFORMED),
]


@pytest.mark.parametrize(("bad", "reason"), BAD_ROWS)
def test_a_bad_row_is_rejected_for_its_reason(bad: object, reason: Reason) -> None:
    """Whatever is not an incoming transfer of USDT is no sighting."""
    found = sifted(bad)
    assert found.sightings == ()
    assert [one.reason for one in found.rejected] == [reason]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(rows=st.lists(JSON | st.dictionaries(st.sampled_from(sorted(row(5))), JSON), max_size=5))
def test_no_row_breaks_the_sieve(rows: list[object]) -> None:
    """Every row of whatever shape ends as exactly one verdict."""
    found = sifted(*rows)
    assert len(found.sightings) + len(found.rejected) == len(rows)


def test_a_receipt_proves_its_transfer() -> None:
    """Sender, amount, position and time are those of the receipt."""
    assert read(receipt(log(7))) == (
        Transfer(Method.TRON, tx_id("t"), 0, WALLET, USDT, BUYER, 7, NOW + MINUTE),
    )


def test_every_log_counts_by_its_index() -> None:
    """Two transfers in one transaction are two; what stands between them shifts the index."""
    found = read(receipt(log(7), log(1, to=BUYER), log(9), log(2, token=FAKE_USDT)))
    assert isinstance(found, tuple)
    assert [(one.position, one.amount) for one in found] == [(0, 7), (2, 9)]


def test_base58_logs_are_read_too() -> None:
    """Nodes write addresses of logs either way, and hex in either case."""
    written = {**log(7), "address": USDT, "data": "0x" + log(7)["data"]}
    shouted = {**log(7), "topics": [topic.upper() for topic in log(7)["topics"]]}
    found = read(receipt(written, shouted))
    assert isinstance(found, tuple)
    assert [one.amount for one in found] == [7, 7]


BAD_LOGS: list[Any] = [
    None,
    {},
    log(7, to=BUYER),
    log(7, token=FAKE_USDT),
    log(0),
    log(MAX_AMOUNT + 1),
    log(7, topic="8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925"),  # Approval
    log(7, topic="zz"),
    {**log(7), "topics": log(7)["topics"][:2]},
    {**log(7), "topics": [*log(7)["topics"], "00" * 32]},
    {**log(7), "topics": []},  # an anonymous event
    {**log(7), "topics": None},
    {**log(7), "topics": [log(7)["topics"][0], "f" * 64, log(7)["topics"][2]]},
    {**log(7), "data": ""},
    {**log(7), "data": log(7)["data"] + "00"},
    {**log(7), "data": None},
]


@pytest.mark.parametrize("bad", BAD_LOGS)
def test_a_log_of_anything_else_proves_nothing(bad: object) -> None:
    """Another contract, topic, recipient, amount or shape is no transfer to the shop."""
    assert read(receipt(bad)) == Rejected(tx_id("t"), Reason.NO_SUCH_LOG)  # type: ignore[arg-type]  # the point


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (receipt(log(7), name="other"), Reason.MALFORMED),
        ({**receipt(log(7)), "blockTimeStamp": None}, Reason.MALFORMED),
        ({**receipt(log(7)), "log": 5}, Reason.MALFORMED),
        (receipt(log(7), result="REVERT"), Reason.REVERTED),
        (receipt(log(7), result="OUT_OF_ENERGY"), Reason.REVERTED),
        ({**receipt(log(7)), "receipt": {}}, Reason.REVERTED),
        ({**receipt(log(7)), "receipt": None}, Reason.REVERTED),
        (receipt(), Reason.NO_SUCH_LOG),
    ],
)
def test_a_bad_receipt_proves_nothing(bad: dict[str, Any], reason: Reason) -> None:
    """Not this transaction, no time, reverted, or without logs: no transfer."""
    assert read(bad) == Rejected(tx_id("t"), reason)


def test_a_receipt_without_logs_is_no_error() -> None:
    """Nodes leave the field out when there are none."""
    bare = receipt()
    del bare["log"]
    assert read(bare) == Rejected(tx_id("t"), Reason.NO_SUCH_LOG)


@given(fields=st.dictionaries(st.sampled_from(sorted(receipt())), JSON))
def test_no_receipt_breaks_the_reader(fields: dict[str, Any]) -> None:
    """Whatever a node answers, it is a verdict; and no made-up receipt is a transfer."""
    assert isinstance(read({**receipt(), **fields}), Rejected)
