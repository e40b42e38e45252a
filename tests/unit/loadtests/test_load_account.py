"""What a load checks and counts: payloads, sets of numbers, and the balance of the account."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests import account, bitset, payload
from loadtests.bitset import Bitset
from loadtests.load_plan import serials


def bits(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    some = Bitset()
    some.add(np.array(numbers, np.int64))
    return some.bits()


def test_payloads_say_their_serial_number() -> None:
    """What is written for serial numbers reads back as those, and as whole."""
    serial = np.concatenate([serials(1, 0, 20_000), serials(3, 2**39, 2**39 + 5)])
    read = payload.read(payload.write(serial).reshape(-1).view(np.uint8))
    assert read.corrupt is None
    assert (read.serial == serial).all()


@given(row=st.integers(0, 9), bit=st.integers(0, payload.SIZE * 8 - 1))
def test_any_flipped_bit_shows(row: int, bit: int) -> None:
    """One bit flipped anywhere makes just that payload corrupt."""
    raw = payload.write(serials(2, 77, 87)).reshape(-1).view(np.uint8).copy()
    raw[row * payload.SIZE + bit // 8] ^= 1 << bit % 8
    read = payload.read(raw)
    assert read.corrupt is not None
    assert np.flatnonzero(read.corrupt).tolist() == [row]


@given(st.lists(st.integers(0, 5000), max_size=50), st.lists(st.integers(0, 5000), max_size=50))
def test_sets_of_numbers(one: list[int], other: list[int]) -> None:
    """Bit sets agree with Python's sets, whatever their lengths."""
    first, second = bits(*one), bits(*other)
    assert bitset.size(first) == len(set(one))
    assert bitset.size(bitset.union([first, second])) == len({*one, *other})
    assert bitset.size(bitset.without(first, second)) == len(set(one) - set(other))


def test_sets_grow() -> None:
    """A number far beyond the first room is kept."""
    assert bitset.size(bits(0, 5_000_000)) == 2


@pytest.mark.parametrize(
    ("delivered", "returned", "read", "expected"),
    [
        ([1, 2, 3, 4], [], 4, account.Account(4, 4, 0, 0, 0, 0)),
        ([1, 2, 4], [], 3, account.Account(4, 3, 0, 1, 0, 0)),
        ([1, 2, 4], [3], 3, account.Account(4, 3, 1, 0, 0, 0)),
        ([1, 2, 3, 4], [3], 4, account.Account(4, 4, 0, 0, 1, 0)),
        ([1, 2, 3, 4], [], 5, account.Account(4, 4, 0, 0, 1, 0)),
        ([1, 2, 3, 4, 9], [], 5, account.Account(4, 5, 0, 0, 0, 1)),
    ],
    ids=["all-well", "one-lost", "one-returned", "returned-too", "one-twice", "one-unknown"],
)
def test_the_balance(
    delivered: list[int], returned: list[int], read: int, expected: account.Account
) -> None:
    """Every accepted message is delivered, returned or lost, and what is twice is seen."""
    half = len(delivered) // 2
    columns = {
        "accepted-0": bits(1, 2, 3, 4),
        "delivered-0-0": bits(*delivered[:half]),
        "delivered-1-0": bits(*delivered[half:]),
        "returned-0-0": bits(*returned),
        "serials-0-0": bits(*delivered[:half]),
        "serials-1-0": bits(*delivered[half:]),
    }
    assert account.settle(columns, read) == expected


def test_accounts_of_partitions_stay_apart() -> None:
    """Sequence numbers of one partition say nothing about another's."""
    columns = {
        "accepted-0": bits(1, 2),
        "accepted-1": bits(1, 2),
        "delivered-0-0": bits(1, 2),
        "delivered-0-1": bits(),
        "serials-0-0": bits(0, 1),
        "serials-0-1": bits(),
    }
    assert account.settle(columns, 2) == account.Account(4, 2, 0, 2, 0, 0)
