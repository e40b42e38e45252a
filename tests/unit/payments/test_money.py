"""Amounts: exact both ways, and nothing but plain decimals."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actors.payments.chains import money
from actors.payments.chains.money import Method, Network
from actors.payments.ledger import amount_tails

METHODS = st.sampled_from(list(Method))


@given(amount=st.integers(1, money.MAX_AMOUNT), method=METHODS)
def test_text_and_amount_are_inverse(amount: int, method: Method) -> None:
    """Every amount is written so that it reads as itself."""
    assert money.parse(money.text(amount, method), method) == amount


@pytest.mark.parametrize(
    ("text", "method", "amount"),
    [
        ("9.90", Method.TRON, 9_900_000),
        (" 1 ", Method.TON, 10**9),
        ("0.000001", Method.TON_USDT, 1),
        ("1.500000000000", Method.TRON, 1_500_000),
    ],
)
def test_decimals_are_read_in_the_smallest_unit(text: str, method: Method, amount: int) -> None:
    """USDT has six decimals and TON nine; zeros at the end do not count."""
    assert money.parse(text, method) == amount


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "0.0",
        "-1",
        "+1",
        "1e3",
        "1,5",
        ".5",
        "5.",
        "NaN",
        "0.0000001",
        "1" * 20,
        "٣",
        "1_0",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    """No sign, no exponent, no other digits, nothing finer than the unit, nothing absurd."""
    with pytest.raises(ValueError):
        money.parse(text, Method.TRON)


def test_what_a_column_of_the_ledger_holds_can_be_paid() -> None:
    """64 bits with a sign, to the last unit, and not one more."""
    assert money.parse("9223372036854.775807", Method.TRON) == 2**63 - 1
    with pytest.raises(ValueError, match="not an amount that can be paid"):
        money.parse("9223372036854.775808", Method.TRON)


def test_text_of_differences_has_a_sign() -> None:
    """Reports may hold negative sums."""
    assert money.text(-1_500_000, Method.TRON) == "-1.5"
    assert money.text(0, Method.TON) == "0"


def test_methods_belong_to_chains() -> None:
    """Two chains, three ways to pay."""
    assert [method.network for method in Method] == [Network.TRON, Network.TON, Network.TON]
    assert [method.symbol for method in Method] == ["USDT", "GRAM (formerly TON)", "USDT"]
    assert [method.ticker for method in Method] == ["USDT", "TON", "USDT"]


class _First:
    def choice(self, items: list[int]) -> int:
        return items[0]


SHORT = range(100, 50_000, 100)
LONG = [tail for tail in range(50_001, 100_000) if tail % 10]
PRICE = 2_500_000  # µUSDT


@given(price=st.integers(1, 10**12), taken=st.sets(st.sampled_from(SHORT)))
@example(price=10_000, taken=set(SHORT))
@example(price=1, taken=set(SHORT) - {300})  # the last one is left
@example(price=1, taken=set())
def test_a_tail_is_free_and_never_zero(price: int, taken: set[int]) -> None:
    """While a tail of four decimals is left, it is one of these, and nobody else's."""
    amounts = {price + tail for tail in taken}
    drawn = amount_tails.draw(price, amounts, _First())  # type: ignore[arg-type]  # only choice is used
    if taken == set(SHORT) and price % 10_000:
        assert drawn is None
        return
    assert drawn is not None
    assert drawn not in amounts
    assert (drawn - price in SHORT) == (taken < set(SHORT))


def test_six_decimals_give_room() -> None:
    """When all tails of four decimals are taken, there are 45,000 of six; then none."""
    price = 9_900_000
    short = {price + tail for tail in SHORT}
    every = short | {price + tail for tail in LONG}
    assert len(every) == amount_tails.count(price) == amount_tails.COUNT == 499 + 45_000
    drawn = amount_tails.draw(price, short, _First())  # type: ignore[arg-type]  # the same
    assert drawn in every - short
    left = every - {price + LONG[-1]}
    last = amount_tails.draw(price, left, _First())  # type: ignore[arg-type]  # the same
    assert last == price + LONG[-1]
    assert amount_tails.draw(price, every, _First()) is None  # type: ignore[arg-type]  # the same


def test_a_price_that_is_no_whole_cents_has_tails_of_four_decimals_alone() -> None:
    """Of six, one that is cut could be the amount of another order."""
    assert amount_tails.count(9_900_500) == 499
    taken = {9_900_500 + tail for tail in SHORT}
    assert amount_tails.draw(9_900_500, taken, _First()) is None  # type: ignore[arg-type]  # the same


@given(price=st.integers(1, 10**9).map(lambda cents: cents * 10_000), tail=st.sampled_from(LONG))
def test_a_rounded_amount_is_nobody_elses(price: int, tail: int) -> None:
    """Cut or rounded to fewer decimals, an amount of six names no other order of any price."""
    every = {*SHORT, *LONG}
    for digits in (10, 100, 1000, 10_000):
        cut = (price + tail) // digits * digits
        for rounded in (cut, cut + digits):
            rest = (rounded - price) % 100_000
            assert rounded - price not in every
            assert rest not in LONG
    # An older ledger may hold an amount of four decimals there.
    old = price + tail - tail % 100
    nothing_else = {price + one for one in every if one != tail}
    assert amount_tails.draw(price, nothing_else, _First()) == price + tail  # type: ignore[arg-type]  # the same
    assert amount_tails.draw(price, nothing_else | {old}, _First()) is None  # type: ignore[arg-type]  # the same


def test_what_was_paid_lately_is_asked_for_last() -> None:
    """Somebody may pay it twice."""
    every = {20_000 + tail for tail in (*SHORT, *LONG)}
    free, paid = 20_000 + SHORT[3], 20_000 + SHORT[0]
    first = _First()
    taken = every - {free, paid}
    assert amount_tails.draw(20_000, taken, first, used={paid}) == free  # type: ignore[arg-type]  # the same
    taken |= {free}
    assert amount_tails.draw(20_000, taken, first, used={paid}) == paid  # type: ignore[arg-type]  # the same
