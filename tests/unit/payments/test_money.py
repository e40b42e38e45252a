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


@given(price=st.integers(1, 10**12), taken=st.sets(st.integers(1, 999), max_size=999))
@example(price=1, taken=set(range(1, 999)))  # the last one is left
@example(price=1, taken=set(range(1, 1000)))
def test_a_tail_is_free_and_never_zero(price: int, taken: set[int]) -> None:
    """An amount lies 0.0001 to 0.0999 USDT above the price and is nobody else's."""
    amounts = {price + number * 100 for number in taken}
    drawn = amount_tails.draw(price, amounts, _First())  # type: ignore[arg-type]  # only choice is used
    if len(taken) == 999:
        assert drawn is None
    else:
        assert drawn is not None
        assert drawn not in amounts
        assert 100 <= drawn - price <= 99_900
        assert (drawn - price) % 100 == 0
