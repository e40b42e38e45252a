"""Addresses in one form: base58check on TRON, raw `workchain:hex` on TON.

The same account has several spellings (hex with and without the network's prefix; friendly forms
with flags for bouncing and for test nets), and forgers use that; one form only is compared.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

import base58
from pytoniq_core.boc.address import Address, AddressError

TRON_PREFIX: Final = 0x41
_TRON_LENGTH: Final = 21  # bytes, with the prefix
_TRON_TEXT: Final = 34  # characters of base58
_HEX: Final = re.compile(r"(?:0x)?(?:41)?([0-9a-fA-F]{40})")
_RAW: Final = re.compile(r"(-1|0):([0-9a-fA-F]{64})")
_FRIENDLY: Final = re.compile(r"[A-Za-z0-9_/+-]{48}")
_TEST_FLAG: Final = 0x80


def tron(text: str) -> str:
    """A TRON address as base58check, from that or from the hex of 20 or 21 bytes.

    Raises:
        ValueError: it is not a TRON address.
    """
    if found := _HEX.fullmatch(text):
        return base58.b58encode_check(bytes([TRON_PREFIX]) + bytes.fromhex(found[1])).decode()
    if len(text) != _TRON_TEXT:  # what comes from outside may be long, and decoding is quadratic
        raise ValueError("it is not a TRON address")
    try:
        raw = base58.b58decode_check(text)
    except ValueError:
        raise ValueError("it is not a TRON address: its checksum is wrong") from None
    if len(raw) != _TRON_LENGTH or raw[0] != TRON_PREFIX:
        raise ValueError("it is not a TRON address")
    return text


def tron_topic(topic: str) -> str:
    """The address in a log's topic: 32 bytes as hex, the last 20 with or without the prefix.

    Raises:
        ValueError: it does not hold an address.
    """
    if not re.fullmatch(r"0{22}(?:00|41)[0-9a-fA-F]{40}", topic):
        raise ValueError("a topic is no address")
    return tron(topic[24:])


def ton(text: str) -> str:
    """A TON address in raw form, `0:` and 64 lower-case hex digits, from that or a friendly form.

    Raises:
        ValueError: it is not a TON address.
    """
    if found := _RAW.fullmatch(text):
        return f"{found[1]}:{found[2].lower()}"
    if not _FRIENDLY.fullmatch(text):
        raise ValueError("it is not a TON address")
    try:
        address = Address(text)  # in either alphabet of base64
    except (AddressError, binascii.Error):
        raise ValueError("it is not a TON address: its checksum is wrong") from None
    return raw(address)


def raw(address: Address) -> str:
    """An address that was read from a cell, in raw form."""
    return f"{address.wc}:{address.hash_part.hex()}"


def is_ton_test(text: str) -> bool:
    """Whether a friendly TON address is flagged for test nets only."""
    if not _FRIENDLY.fullmatch(text):
        return False
    return bool(base64.urlsafe_b64decode(text)[0] & _TEST_FLAG)


def ton_friendly(raw_form: str, *, test: bool = False) -> str:
    """The non-bounceable form, as people are shown it: what is sent to it stays."""
    shown: str = Address(raw_form).to_str(is_bounceable=False, is_test_only=test)
    return shown
