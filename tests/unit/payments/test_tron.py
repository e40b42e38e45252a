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
    return read_receipt(given_receipt, tx_id(name), wallet=WALLET, contract=USDT, since_ms=NOW)


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


ELSE: list[tuple[object, Reason]] = [
    (row(5, kind="Approval"), Reason.NOT_A_TRANSFER),
    (row(5, kind=" approval"), Reason.NOT_A_TRANSFER),
    (row(5, token=FAKE_USDT), Reason.WRONG_TOKEN),
    (row(5, token=hex_of(FAKE_USDT)), Reason.WRONG_TOKEN),
    (row(5, to=BUYER), Reason.WRONG_RECIPIENT),
    (row(0), Reason.NOT_POSITIVE),
    (row("00"), Reason.NOT_POSITIVE),
    ({**row(5), "value": 0}, Reason.NOT_POSITIVE),
    (row("0x0"), Reason.NOT_POSITIVE),
    (row(5, block_ms=NOW - 1), Reason.BEFORE_START),
    ({**row(5), "block_timestamp": str(NOW - 1)}, Reason.BEFORE_START),
]


@pytest.mark.parametrize(("bad", "reason"), ELSE)
def test_a_row_that_says_that_it_is_something_else_is_believed(bad: object, reason: Reason) -> None:
    """Another contract, another recipient, an approval, nothing, or before the start."""
    found = sifted(bad)
    assert (found.sightings, found.nameless) == ((), 0)
    assert [(one.tx_id, one.reason) for one in found.rejected] == [(tx_id("t"), reason)]


KNOWN = (5, NOW + MINUTE)
ODD: list[tuple[dict[str, Any], tuple[int | None, int | None]]] = [
    ({"token_info": None}, KNOWN),
    ({"token_info": {}}, KNOWN),
    ({"token_info": {"symbol": "USDT"}}, KNOWN),
    ({"token_info": {"address": "garbage"}}, KNOWN),
    ({"token_info": None, "tokenInfo": {"address": USDT}}, KNOWN),
    ({"type": None}, KNOWN),
    ({"type": "transfer"}, KNOWN),
    ({"type": 1}, KNOWN),
    ({"to": None}, KNOWN),
    ({"to": "garbage"}, KNOWN),
    ({"transaction_id": "0x" + tx_id("t").upper()}, KNOWN),
    ({"transaction_id": f" {tx_id('t')}"}, KNOWN),
    ({"value": 5}, KNOWN),
    ({"value": 5.0}, KNOWN),
    ({"value": "0x5"}, KNOWN),
    ({"value": "-5"}, (None, NOW + MINUTE)),
    ({"value": "5.0"}, (None, NOW + MINUTE)),
    ({"value": 5.5}, (None, NOW + MINUTE)),
    ({"value": -5}, (None, NOW + MINUTE)),
    ({"value": True}, (None, NOW + MINUTE)),
    ({"value": "9" * 79}, (None, NOW + MINUTE)),
    ({"value": None}, (None, NOW + MINUTE)),
    ({"value": str(MAX_AMOUNT + 1)}, (None, NOW + MINUTE)),
    ({"block_timestamp": str(NOW + MINUTE)}, KNOWN),
    ({"block_timestamp": float(NOW + MINUTE)}, KNOWN),
    ({"block_timestamp": (NOW + MINUTE) // 1000}, (5, None)),
    ({"block_timestamp": True}, (5, None)),
    ({"block_timestamp": 0}, (5, None)),
    ({"block_timestamp": 2**60}, (5, None)),
    ({"block_timestamp": 253_402_300_800_000}, (5, None)),
]


@pytest.mark.parametrize(("odd", "read_as"), ODD)
def test_a_row_with_an_odd_field_is_for_its_receipt_to_decide(
    odd: dict[str, Any], read_as: tuple[int | None, int | None]
) -> None:
    """What an index writes oddly is read if that leaves no doubt, and else is not known."""
    found = sifted({**row(5), **odd})
    assert (found.rejected, found.nameless) == ((), 0)
    assert [(one.tx_id, one.amount, one.block_ms) for one in found.sightings] == [
        (tx_id("t"), *read_as)
    ]


@pytest.mark.parametrize(
    "odd", [None, [], {}, {"transaction_id": "xyz"}, {"transaction_id": 5}, {"txID": tx_id("t")}]
)
def test_a_row_that_names_no_transaction_is_counted(odd: object) -> None:
    """Nothing can decide about it, so nobody may pass it over."""
    nameless = {**row(5), "transaction_id": None, **odd} if isinstance(odd, dict) else odd
    found = sifted(nameless, row(6, "other"))
    assert (found.nameless, found.rejected) == (1, ())
    assert [one.amount for one in found.sightings] == [6]


@pytest.mark.parametrize("word", [True, "true", 1, {}])
def test_whatever_stands_for_unconfirmed_is_not_confirmed(word: object) -> None:
    """Only nothing, or false, is."""
    assert [one.confirmed for one in sifted({**row(5), "_unconfirmed": word}).sightings] == [False]
    assert [one.confirmed for one in sifted({**row(5), "_unconfirmed": False}).sightings] == [True]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(rows=st.lists(JSON | st.dictionaries(st.sampled_from(sorted(row(5))), JSON), max_size=5))
def test_no_row_breaks_the_sieve(rows: list[object]) -> None:
    """Every row of whatever shape ends as exactly one verdict."""
    found = sifted(*rows)
    unconfirmed = sum(not one.confirmed for one in found.sightings)
    assert len(found.sightings) + len(found.rejected) - unconfirmed + found.nameless == len(rows)


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
    {**log(7), "address": "garbage"},
    {**log(7), "address": None},
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
        ({**receipt(log(7)), "receipt": {}}, Reason.MALFORMED),
        ({**receipt(log(7)), "receipt": None}, Reason.MALFORMED),
        ({**receipt(), "receipt": {"net_usage": 268}}, Reason.NO_SUCH_LOG),  # sent TRX
        (receipt(), Reason.NO_SUCH_LOG),
        (receipt(log(7), block_ms=NOW - 1), Reason.BEFORE_START),
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
