"""Addresses: every spelling of one account becomes the same text, and nothing else passes."""

from __future__ import annotations

import base58
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytoniq_core import Address

from actors.payments.chains import addresses
from tests.unit.payments.shop import BUYER, TON_WALLET, hex_of


@given(raw=st.binary(min_size=20, max_size=20))
def test_spellings_of_a_tron_address_are_one(raw: bytes) -> None:
    """Base58, hex with and without prefix, upper case and 0x are the same account."""
    written = base58.b58encode_check(b"\x41" + raw).decode()
    for spelling in (written, raw.hex(), "41" + raw.hex(), "0x" + raw.hex().upper()):
        assert addresses.tron(spelling) == written
    assert addresses.tron_topic("0" * 24 + raw.hex()) == written
    assert addresses.tron_topic("0" * 22 + "41" + raw.hex()) == written


@given(raw=st.binary(min_size=32, max_size=32), workchain=st.sampled_from([0, -1]))
def test_spellings_of_a_ton_address_are_one(raw: bytes, workchain: int) -> None:
    """Raw and friendly forms, bounceable or not, of the main net or a test net, are the same."""
    account = Address((workchain, raw))
    written = f"{workchain}:{raw.hex()}"
    spellings = [
        account.to_str(is_url_safe=safe, is_bounceable=bounceable, is_test_only=test)
        for safe in (True, False)
        for bounceable in (True, False)
        for test in (True, False)
    ]
    for spelling in (written, written.upper(), *spellings):
        assert addresses.ton(spelling) == written
    tests = [account.to_str(is_url_safe=safe, is_test_only=True) for safe in (True, False)]
    assert all(addresses.is_ton_test(spelling) for spelling in tests)
    assert addresses.raw(account) == written


@pytest.mark.parametrize(
    "text",
    [
        "",
        "T",
        BUYER[:-1],
        BUYER[:-1] + ("1" if BUYER[-1] != "1" else "2"),
        BUYER + "1",
        "0" * 34,
        "l" * 34,
        hex_of(BUYER)[:-1],
        "1" * 100_000,
        base58.b58encode_check(b"\x42" + b"\1" * 20).decode(),
    ],
)
def test_what_is_no_tron_address_is_refused(text: str) -> None:
    """A wrong length, alphabet, checksum or network is no address."""
    with pytest.raises(ValueError, match="not a TRON address"):
        addresses.tron(text)


@pytest.mark.parametrize("text", [BUYER + "1", "1" * 100_000])
def test_what_is_too_long_is_not_decoded(text: str) -> None:
    """Decoding takes time by the square of the length, and anybody can send a text."""
    with pytest.raises(ValueError, match=r"not a TRON address$"):  # nothing about its checksum
        addresses.tron(text)


@pytest.mark.parametrize(
    "topic", ["", "0" * 64 + "0", "1" * 64, "0" * 23, "0" * 22 + "42" + "1" * 40]
)
def test_what_is_no_topic_of_an_address_is_refused(topic: str) -> None:
    """A topic holds an address in its last 20 bytes and nothing before."""
    with pytest.raises(ValueError, match="topic"):
        addresses.tron_topic(topic)


@pytest.mark.parametrize(
    "text", ["", "0:", "1:" + "0" * 64, "0:" + "g" * 64, "E" * 48, "EQ" * 24, "!" * 48, "0" * 64]
)
def test_what_is_no_ton_address_is_refused(text: str) -> None:
    """A wrong workchain, length, alphabet or checksum is no address."""
    with pytest.raises(ValueError, match="not a TON address"):
        addresses.ton(text)


def test_people_are_shown_the_form_that_does_not_bounce() -> None:
    """UQ on the main net, 0Q on test nets; flags can be told."""
    shown, test = addresses.ton_friendly(TON_WALLET), addresses.ton_friendly(TON_WALLET, test=True)
    assert (shown[:2], test[:2]) == ("UQ", "0Q")
    assert [addresses.is_ton_test(text) for text in (shown, test, TON_WALLET)] == [
        False,
        True,
        False,
    ]
