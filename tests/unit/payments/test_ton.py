"""TON: only cells count, histories are chains, and deposits are told from what only looks so."""

from __future__ import annotations

import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytoniq_core import Address, Builder, Cell

from actors.payments.chains import ton, ton_body
from actors.payments.chains.money import MAX_AMOUNT, Method
from actors.payments.chains.ton import TonShop, TonTransaction, chained, judge, parse
from actors.payments.chains.ton_body import Comment, Excesses, InternalTransfer, Notification, Other
from actors.payments.chains.verdict import OtherTokens, Reason, Rejected, Transfer
from tests.unit.payments.shop import JETTON_WALLET, MASTER, NOW, TON_BUYER, TON_WALLET
from tests.unit.payments.ton_cells import (
    Made,
    TonAccount,
    comment,
    excesses,
    external,
    internal_transfer,
    message,
    notification,
    transaction,
)

SHOP = TonShop(TON_WALLET, MASTER, JETTON_WALLET)
EMPTY = Cell.empty()


def parsed(made: Made) -> TonTransaction:
    return parse(made.boc, tx_id=made.tx_id, account=made.account)


def judged(made: Made, *, since_ms: int = NOW, shop: TonShop = SHOP) -> Transfer | Rejected:
    return judge(parsed(made), shop, since_ms)


def taken(body: Cell, value: int, **kwargs: object) -> Transfer | Rejected:
    return judged(TonAccount().take(body, value, **kwargs))  # type: ignore[arg-type]  # passed on


def test_a_deposit_with_a_comment() -> None:
    """Amount, sender, time and comment are read from the cells."""
    made = TonAccount().pay(" hello ", 5)
    assert judged(made) == Transfer(
        Method.TON, made.tx_id, 10, TON_WALLET, "", TON_BUYER, 5, made.time_s * 1000, "hello"
    )


@pytest.mark.parametrize("body", [EMPTY, Builder().store_uint(0x595F07BC, 32).end_cell()])
def test_a_deposit_without_a_comment_still_arrived(body: Cell) -> None:
    """An empty body or an unknown operation is a transfer that names no order."""
    found = taken(body, 5)
    assert isinstance(found, Transfer)
    assert (found.comment, found.settles) == ("", True)


def test_an_aborted_deposit_that_did_not_bounce_arrived() -> None:
    """A wallet without code keeps what it was sent."""
    found = taken(comment("x"), 5, aborted=True)
    assert isinstance(found, Transfer)
    assert found.settles


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (taken(comment("x"), 5, bounced=True), Reason.BOUNCED),
        (taken(comment("x"), 5, bounce="ok", aborted=True), Reason.BOUNCED),
        (taken(comment("x"), 0), Reason.NOT_POSITIVE),
        (taken(excesses(), 10**9), Reason.CHANGE),
        (taken(comment("x"), MAX_AMOUNT + 1), Reason.ABSURD_AMOUNT),
        (taken(comment("x"), 5, time_s=NOW // 1000 - 1), Reason.BEFORE_START),
        (judged(TonAccount().add(external(TON_WALLET))), Reason.OWN_TRANSFER),
        (judged(transaction(None, ordinary=False)), Reason.OWN_TRANSFER),
        (judged(transaction(None)), Reason.OWN_TRANSFER),
    ],
)
def test_what_brings_nothing_is_rejected(found: Transfer | Rejected, reason: Reason) -> None:
    """Returned, empty, change, too old, absurd, or the shop's own doing."""
    assert isinstance(found, Rejected)
    assert found.reason is reason


@pytest.mark.parametrize("bounce", ["nofunds", "negfunds"])
def test_a_bounce_that_failed_leaves_the_value_for_review(bounce: str) -> None:
    """The coins stayed, in a way that settles nothing."""
    found = taken(comment("x"), 5, bounce=bounce, aborted=True)
    assert isinstance(found, Transfer)
    assert not found.settles


def test_a_deposit_that_sent_something_on_is_for_review() -> None:
    """With outgoing messages, what stayed is not what came."""
    out = message(EMPTY, source=TON_WALLET, destination=TON_BUYER, value=5)
    found = taken(comment("x"), 5, outgoing=(out,))
    assert isinstance(found, Transfer)
    assert not found.settles


def test_change_that_is_too_much_is_a_deposit() -> None:
    """Nobody's 100 TON disappear behind an operation's number."""
    found = taken(excesses(), 10**11)
    assert isinstance(found, Transfer)
    assert found.amount == 10**11


def test_a_notice_of_the_shops_own_wallet_is_no_second_payment() -> None:
    """The jettons that it is of are counted where they arrived."""
    found = judged(TonAccount().notice("x", 5_000_000))
    assert found == Rejected(found.tx_id, Reason.NOTIFIED)


def test_a_forged_notice_is_no_payment() -> None:
    """The same bytes from any other sender are worth nothing, whatever they say."""
    for found in (
        taken(notification(5_000_000, "x"), 1),
        judged(TonAccount().notice("x", 5_000_000), shop=TonShop(TON_WALLET, MASTER, "")),
    ):
        assert found == Rejected(found.tx_id, Reason.FAKE_JETTON)


def test_coins_that_carry_a_forged_notice_are_not_lost() -> None:
    """They arrived, as coins, and settle nothing; unless they went back."""
    found = taken(notification(5_000_000, "x"), 10**8)
    assert isinstance(found, Transfer)
    assert (found.method, found.amount, found.comment, found.settles) == (
        Method.TON,
        10**8,
        "",
        False,
    )
    assert isinstance(taken(notification(5, "x"), ton.DUST), Transfer)
    assert isinstance(taken(notification(5, "x"), ton.DUST - 1), Rejected)
    assert isinstance(taken(notification(5, "x"), 10**8, bounce="ok"), Rejected)


def noticed(made: Made, *, shop: TonShop = SHOP) -> OtherTokens | None:
    return ton.other_tokens(parsed(made), shop, NOW)


@pytest.mark.parametrize("carried", [1, 10**8])
def test_tokens_that_the_shop_does_not_take_are_noticed(carried: int) -> None:
    """With their comment, however many coins carry the notice; they are no transfer."""
    made = TonAccount().take(notification(5_000_000, " x "), carried, bounce="nofunds")
    assert noticed(made) == OtherTokens(made.tx_id, 5_000_000, TON_BUYER, "x")
    unknown = TonAccount().notice("x", 5_000_000)
    assert noticed(unknown, shop=TonShop(TON_WALLET, MASTER, "")) is not None


@pytest.mark.parametrize(
    "made",
    [
        TonAccount().notice("x", 5_000_000),
        TonAccount().pay("x", 5),
        TonAccount().add(external(TON_WALLET)),
        TonAccount().take(notification(5, "x"), 1, bounced=True),
        TonAccount().take(notification(5, "x"), 1, time_s=NOW // 1000 - 1),
    ],
    ids=["its own", "coins", "its own doing", "returned", "too old"],
)
def test_nothing_else_is_taken_for_such_tokens(made: Made) -> None:
    """The shop's own jetton wallet, what is no notice, and what was before its time."""
    assert noticed(made) is None


@pytest.mark.parametrize(
    ("amount", "reason"), [(0, Reason.NOT_POSITIVE), (MAX_AMOUNT + 1, Reason.ABSURD_AMOUNT)]
)
def test_jettons_have_sane_amounts(amount: int, reason: Reason) -> None:
    """None, or more than exist, is no payment."""
    found = judged(jetton_account().receive_jettons("x", amount))
    assert isinstance(found, Rejected)
    assert found.reason is reason


@pytest.mark.parametrize("amount", [1, MAX_AMOUNT])
def test_the_least_and_the_largest_amounts_count(amount: int) -> None:
    """Of coins, and of jettons."""
    for found in (
        taken(comment("x"), amount),
        judged(jetton_account().receive_jettons("x", amount)),
    ):
        assert isinstance(found, Transfer)
        assert (found.amount, found.settles) == (amount, True)


def jetton_account() -> TonAccount:
    return TonAccount(JETTON_WALLET)


def test_jettons_with_an_odd_payload_have_arrived() -> None:
    """They go to review as the jettons that they are, at worst without a comment."""
    silent = Builder().store_uint(ton_body.INTERNAL_TRANSFER, 32).store_uint(7, 64)
    silent.store_coins(5_000_000).store_address(Address(TON_BUYER))
    found = judged(jetton_account().take(silent.end_cell(), 10**7))
    assert isinstance(found, Transfer)
    assert (found.method, found.amount, found.comment) == (Method.TON_USDT, 5_000_000, "")


@pytest.mark.parametrize("notified", [True, False])
def test_jettons_are_counted_at_the_shops_own_jetton_wallet(*, notified: bool) -> None:
    """Whether or not the sender has paid for a notice."""
    notice = message(notification(5, "x"), source=JETTON_WALLET, destination=TON_WALLET, value=1)
    made = jetton_account().receive_jettons("x", 5, outgoing=(notice,) if notified else ())
    assert judged(made) == Transfer(
        Method.TON_USDT,
        made.tx_id,
        10,
        TON_WALLET,
        MASTER,
        TON_BUYER,
        5,
        made.time_s * 1000,
        "x",
    )


def test_jettons_that_the_wallet_refused_are_none() -> None:
    """A forged transfer between jetton wallets aborts."""
    for bounce, aborted in (("ok", True), ("", True), ("ok", False)):
        made = jetton_account().take(
            internal_transfer(5, "x"), 10**8, bounce=bounce, aborted=aborted
        )
        found = judged(made)
        assert isinstance(found, Rejected)
        assert found.reason is Reason.BOUNCED


def test_other_messages_to_the_jetton_wallet_are_none() -> None:
    """Nor is anything at an account that is not the shop's."""
    assert isinstance(judged(jetton_account().take(comment("x"), 10**8)), Rejected)
    stranger = TonAccount(TON_BUYER).take(internal_transfer(5, "x"), 10**8)
    assert isinstance(judged(stranger), Rejected)


def test_cells_must_have_the_hash() -> None:
    """Real cells under another name are no transaction."""
    made, other = TonAccount().pay("x", 5), TonAccount().pay("y", 5)
    with pytest.raises(ValueError, match="came as transaction"):
        parse(made.boc, tx_id=other.tx_id, account=TON_WALLET)


def test_cells_must_be_of_the_account() -> None:
    """Neither another account's transaction, nor one whose message went elsewhere."""
    made = TonAccount().pay("x", 5)
    with pytest.raises(ValueError, match="is of another account"):
        parse(made.boc, tx_id=made.tx_id, account=TON_BUYER)
    astray = transaction(message(EMPTY, source=TON_BUYER, destination=TON_BUYER, value=5))
    with pytest.raises(ValueError, match="for another account"):
        parse(astray.boc, tx_id=astray.tx_id, account=TON_WALLET)


def test_cells_have_a_bound() -> None:
    """More than a transaction can be is not even read."""
    with pytest.raises(ValueError, match="is no transaction"):
        parse(b"\0" * (ton.MAX_BOC + 1), tx_id="00" * 32, account=TON_WALLET)


def test_the_largest_message_of_the_chain_is_read() -> None:
    """2^21 bits in some 8192 cells: who sends that stalls nothing."""
    cells = [
        Builder().store_bytes(number.to_bytes(2, "big") * 16).end_cell() for number in range(6144)
    ]
    while len(cells) > 1:
        groups = [cells[at : at + 4] for at in range(0, len(cells), 4)]
        cells = [functools.reduce(Builder.store_ref, group, Builder()) for group in groups]
        cells = [
            builder.store_bytes(len(cells).to_bytes(2, "big") * 16).end_cell() for builder in cells
        ]
    found = taken(cells[0], 5)
    assert isinstance(found, Transfer)
    assert (found.amount, found.comment) == (5, "")


def test_cells_that_are_no_transaction() -> None:
    """A hash that holds does not make one."""
    cell = comment("not a transaction")
    with pytest.raises(ValueError, match="no transaction"):
        parse(cell.to_boc(), tx_id=cell.hash.hex(), account=TON_WALLET)


@given(place=st.integers(0, 10**6), flip=st.integers(1, 255))
def test_no_changed_byte_passes(place: int, flip: int) -> None:
    """Whatever byte of the cells is changed, the transaction is refused, or is the same one."""
    made = TonAccount().pay("x", 5)
    broken = bytearray(made.boc)
    broken[place % len(broken)] ^= flip
    try:
        found = parse(bytes(broken), tx_id=made.tx_id, account=TON_WALLET)
    except ValueError:
        return
    assert found == parsed(made)


@given(boc=st.binary(max_size=200))
def test_no_bytes_break_the_parser(boc: bytes) -> None:
    """Anything that is not the transaction is a ValueError."""
    with pytest.raises(ValueError):
        parse(boc, tx_id="00" * 32, account=TON_WALLET)


HISTORY = TonAccount()
for _number in range(6):
    HISTORY.pay(f"{_number}", 5)
CHAIN = [parsed(made) for made in HISTORY.made]


@given(shuffled=st.permutations(CHAIN * 2), known=st.integers(0, 6))
def test_a_history_in_any_order_is_one_chain(shuffled: list[TonTransaction], known: int) -> None:
    """Permuted and repeated, what is new comes out once and in order."""
    after = (CHAIN[known - 1].lt, CHAIN[known - 1].tx_id) if known else (0, "")
    assert chained(shuffled, after_lt=after[0], mark=after[1]) == CHAIN[known:]


@given(missing=st.integers(1, 4), known=st.integers(0, 1))
def test_a_gap_is_no_history(missing: int, known: int) -> None:
    """Nothing passes over a transaction that the API left out."""
    after = (CHAIN[0].lt, CHAIN[0].tx_id) if known else (0, "")
    rest = [one for one in CHAIN if one is not CHAIN[missing]]
    with pytest.raises(ValueError, match="missing"):
        chained(rest, after_lt=after[0], mark=after[1])


def test_an_account_that_ended_begins_a_new_chain() -> None:
    """Emptied and gone, and sent something again: nothing is missing, whenever that is read."""
    account = TonAccount()
    account.pay("x", 5)
    account.add(external(TON_WALLET), end="nonexist")
    account.pay("y", 6)
    account.pay("z", 7)
    whole = [parsed(made) for made in account.made]
    assert [one.lasting for one in whole] == [True, False, True, True]
    assert chained(whole, after_lt=0, mark="") == whole
    for known in range(1, 4):
        last = whole[known - 1]
        assert chained(whole, after_lt=last.lt, mark=last.mark) == whole[known:]
    with pytest.raises(ValueError, match="missing"):
        chained(whole[2:], after_lt=whole[0].lt, mark=whole[0].mark)
    with pytest.raises(ValueError, match="missing"):
        chained(whole[3:], after_lt=whole[1].lt, mark=whole[1].mark)
    # In the block of its end, the chain goes on.
    at_once = parsed(transaction(None, lt=30, previous=(whole[1].lt, whole[1].tx_id)))
    assert chained([*whole[:2], at_once], after_lt=0, mark="") == [*whole[:2], at_once]


def test_an_account_without_code_may_begin_anew_at_any_time() -> None:
    """Storage ends it, and that leaves no transaction of its own to be read."""
    account = TonAccount()
    account.notice("x", 5, end="uninit")
    read = parsed(account.made[0])
    reborn = parsed(transaction(None, lt=30))
    assert (read.lasting, read.mark) == (False, ton.NOTHING)
    assert chained([reborn], after_lt=read.lt, mark=read.mark) == [reborn]
    account.pay("y", 6)
    goes_on = parsed(account.made[1])
    assert chained([goes_on], after_lt=read.lt, mark=read.mark) == [goes_on]
    account.pay("z", 7)
    with pytest.raises(ValueError, match="missing"):
        chained([parsed(account.made[2])], after_lt=read.lt, mark=read.mark)


@given(first=st.integers(0, 5), since_s=st.integers(-1, 8))
def test_a_history_begins_with_the_first_or_before_the_shop(first: int, since_s: int) -> None:
    """What is missing at the beginning may be the shop's, unless it is older than its start."""
    account = TonAccount()
    for number in range(6):
        account.pay("x", 5, time_s=NOW // 1000 + number)
    whole = [parsed(made) for made in account.made]
    since_ms = NOW + 1000 * since_s
    if first == 0 or first < since_s:
        shown = chained(whole[first:], after_lt=0, mark="", since_ms=since_ms)
        assert shown == whole[first:]
    else:
        with pytest.raises(ValueError, match="missing"):
            chained(whole[first:], after_lt=0, mark="", since_ms=since_ms)


def test_the_accounts_that_count() -> None:
    """The jetton wallet is one of them once it is known."""
    assert TonShop(TON_WALLET, MASTER, "").accounts == (TON_WALLET,)
    assert TonShop(TON_WALLET, MASTER, JETTON_WALLET).accounts == (TON_WALLET, JETTON_WALLET)


def test_verdicts_are_split() -> None:
    """Transfers to one side, the rest to the other."""
    verdicts = [judged(HISTORY.made[0]), taken(comment("x"), 0)]
    transfers, rejected = ton.split(verdicts)
    assert ([transfers[0], rejected[0]]) == verdicts


@given(text=st.text(max_size=300))
def test_comments_are_read_over_cells(text: str) -> None:
    """UTF-8 in a chain of cells, stripped."""
    assert ton_body.read(comment(text).begin_parse()) == Comment(text.strip())


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (EMPTY, Other()),
        (Builder().store_uint(0, 8).end_cell(), Other()),
        (Builder().store_uint(1, 32).end_cell(), Other()),
        (Builder().store_uint(0, 32).store_bit(1).end_cell(), Comment("")),
        (Builder().store_uint(0, 32).store_bytes(b"x").store_bit(1).end_cell(), Comment("")),
        (comment(b"\xff\xfe"), Comment("")),
        (comment("x" * 1025), Comment("")),
        (comment("x" * 1024), Comment("x" * 1024)),
        (excesses(), Excesses()),
        (notification(5, "x", sender=None), Notification(5, "", "x")),
        (internal_transfer(5, "x"), InternalTransfer(5, TON_BUYER, "x")),
        (Builder().store_uint(ton_body.NOTIFICATION, 32).end_cell(), Other()),
        (
            Builder().store_uint(ton_body.INTERNAL_TRANSFER, 32).store_uint(0, 69).end_cell(),
            Other(),
        ),
        (
            # An amount that claims more bytes than are there.
            Builder()
            .store_uint(ton_body.NOTIFICATION, 32)
            .store_uint(0, 64)
            .store_uint(0xF0, 8)
            .end_cell(),
            Other(),
        ),
        (
            # No forward payload, not even the bit that says where it is.
            Builder()
            .store_uint(ton_body.NOTIFICATION, 32)
            .store_uint(0, 64)
            .store_coins(5)
            .store_uint(0, 2)
            .end_cell(),
            Notification(5, "", ""),
        ),
        (
            # A forward payload in a cell that is not there.
            Builder()
            .store_uint(ton_body.NOTIFICATION, 32)
            .store_uint(0, 64)
            .store_coins(5)
            .store_uint(1, 3)
            .end_cell(),
            Notification(5, "", ""),
        ),
        (
            # An address for excesses of a kind that there is not.
            Builder()
            .store_uint(ton_body.INTERNAL_TRANSFER, 32)
            .store_uint(0, 64)
            .store_coins(5)
            .store_uint(0, 2)
            .store_uint(7, 3)
            .end_cell(),
            InternalTransfer(5, "", ""),
        ),
        (
            Builder()
            .store_uint(ton_body.NOTIFICATION, 32)
            .store_uint(0, 64)
            .store_coins(5)
            .store_uint(0, 3)
            .end_cell(),
            Notification(5, "", ""),
        ),
        (
            Builder()
            .store_uint(ton_body.NOTIFICATION, 32)
            .store_uint(0, 64)
            .store_coins(5)
            .store_uint(0, 3)
            .store_uint(9, 32)
            .end_cell(),
            Notification(5, "", ""),
        ),
    ],
)
def test_bodies(body: Cell, expected: ton_body.Body) -> None:
    """Each body is what it says it is, or `Other`."""
    assert ton_body.read(body.begin_parse()) == expected


@given(
    amount=st.integers(0, 2**120 - 1),
    text=st.text(max_size=200),
    account=st.binary(min_size=32, max_size=32),
)
def test_messages_of_jettons_are_read_as_they_were_written(
    amount: int, text: str, account: bytes
) -> None:
    """Whatever bits stand in them: field by field, and none for another."""
    sender = f"0:{account.hex()}"
    notice = notification(amount, text, sender=sender)
    assert ton_body.read(notice.begin_parse()) == Notification(amount, sender, text.strip())
    moved = internal_transfer(amount, text, sender=sender)
    assert ton_body.read(moved.begin_parse()) == InternalTransfer(amount, sender, text.strip())


def test_a_body_may_be_inline() -> None:
    """Messages hold their body themselves, or in a cell of its own."""
    incoming = (
        Builder()
        .store_bits("0110")
        .store_address(Address(TON_BUYER))
        .store_address(Address(TON_WALLET))
        .store_coins(5)
        .store_bit(0)
        .store_coins(0)
        .store_coins(0)
        .store_uint(5, 64)
        .store_uint(5, 32)
        .store_bits("00")
        .store_cell(comment("hi"))
        .end_cell()
    )
    found = judged(transaction(incoming))
    assert isinstance(found, Transfer)
    assert found.comment == "hi"
