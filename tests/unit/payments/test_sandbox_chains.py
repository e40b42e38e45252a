"""The sandbox's chains: ids, signatures and hashes check, by other code than made them."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytoniq_core.boc.cell import Cell
from pytoniq_core.tlb.transaction import Transaction
from tronpy.abi import tron_abi
from tronpy.keys import Signature
from tronpy.proto import calculate_txid_from_raw_data

from actors.payments.chains import ton, tron
from actors.payments.chains.money import MAX_AMOUNT, Method
from actors.payments.chains.verdict import Reason, Rejected, Transfer
from actors.payments.sandbox import kinds
from actors.payments.sandbox.chain_clock import ChainClock
from actors.payments.sandbox.chain_ton import TonChain
from actors.payments.sandbox.chain_tron import TronChain
from actors.payments.sandbox.kinds import APPLIES, Chains, Payment, PaymentKind
from actors.runtime.errors import InvalidInput

SHOP = TronChain("test", ChainClock()).wallet
EACH = [(method, kind) for kind in PaymentKind for method in sorted(APPLIES[kind])]


def paid(chains: Chains, method: Method, kind: PaymentKind, amount: int = 9_900_100) -> list[str]:
    """Pay the shop of some chains."""
    to = chains.tron.wallet if method is Method.TRON else chains.ton.wallet
    return kinds.pay(chains, Payment(method, kind, to, amount, "ab" * 16))


@given(amount=st.integers(1, MAX_AMOUNT), sender=st.text(max_size=20))
def test_a_tron_transaction_is_what_its_id_says_and_signed_by_its_sender(
    amount: int, sender: str
) -> None:
    """The id is the hash of the serialised data, and the signature gives the sender back."""
    chain = TronChain("test", ChainClock())
    made = chain.transfer(sender, SHOP, amount)
    signed = chain.transaction(made.tx_id)
    assert hashlib.sha256(bytes.fromhex(signed["raw_data_hex"])).hexdigest() == made.tx_id
    assert calculate_txid_from_raw_data(signed["raw_data"]) == made.tx_id
    signature = Signature.fromhex(signed["signature"][0])
    key = signature.recover_public_key_from_msg_hash(bytes.fromhex(made.tx_id))
    assert key.to_base58check_address() == chain.account(sender)
    call = signed["raw_data"]["contract"][0]["parameter"]["value"]["data"]
    assert call[:8] == "a9059cbb"  # transfer(address,uint256)
    decoded = tron_abi.decode(["address", "uint256"], bytes.fromhex(call[8:]))
    assert decoded == (SHOP, amount)


def test_no_two_tron_transactions_are_equal() -> None:
    """Even the same payment at the same moment is another transaction."""
    chain = TronChain("test", ChainClock(lambda: 1_760_000_000_000))
    ids = {chain.transfer("buyer", SHOP, 5).tx_id for _ in range(50)}
    assert len(ids) == 50


def test_a_call_that_sends_to_many_reports_each_transfer() -> None:
    """One transaction of another contract has a log of USDT for each recipient."""
    chain = TronChain("test", ChainClock())
    made = chain.transfer_many("buyer", [(SHOP, 5), (chain.account("x"), 6), (SHOP, 7)])
    found = tron.read_receipt(
        chain.receipt(made.tx_id), made.tx_id, wallet=SHOP, contract=chain.usdt, since_ms=0
    )
    assert not isinstance(found, Rejected)
    assert [(one.position, one.amount) for one in found] == [(0, 5), (2, 7)]
    call = made.signed["raw_data"]["contract"][0]["parameter"]["value"]["data"]
    token, to, amounts = tron_abi.decode(
        ["address", "address[]", "uint256[]"], bytes.fromhex(call[8:])
    )
    assert (token, to, amounts) == (chain.usdt, (SHOP, chain.account("x"), SHOP), (5, 6, 7))


def test_a_receipt_appears_when_its_block_is_solid() -> None:
    """Before that the index lists an unconfirmed row, and after it both rows."""
    now = [1_760_000_000_000]
    chain = TronChain("test", ChainClock(lambda: now[0]), solid_after_ms=57_000)
    made = chain.transfer("buyer", SHOP, 5)
    assert chain.receipt(made.tx_id) == {}
    assert [row.get("_unconfirmed") for row in chain.listed(SHOP)] == [True]
    assert chain.solid_head()[1] < made.block_ms
    now[0] += 57_000
    assert chain.receipt(made.tx_id)["receipt"]["result"] == "SUCCESS"
    assert [row.get("_unconfirmed") for row in chain.listed(SHOP)] == [True, None]
    assert chain.solid_head()[1] >= made.block_ms


def test_a_block_that_is_given_up_gives_its_transactions_to_another() -> None:
    """Only the named one, and not before somebody says so."""
    chain = TronChain("test", ChainClock())
    first, second = (chain.transfer("buyer", SHOP, 5, held=True) for _ in range(2))
    block = first.block
    assert chain.receipt(first.tx_id) == {}
    assert chain.confirm(first.tx_id) == [first.tx_id]
    assert first.block > block
    assert chain.receipt(first.tx_id)["id"] == first.tx_id
    assert chain.receipt(second.tx_id) == {}
    assert chain.confirm() == [second.tx_id]
    assert chain.confirm() == []


def test_the_clock_never_goes_back() -> None:
    """Neither with the wall clock, nor by being put forward to the past."""
    now = [5_000]
    clock = ChainClock(lambda: now[0])
    clock.forward_to(9_000)
    assert clock.now_ms() == 9_000
    now[0] = 1_000
    assert clock.now_ms() == 9_000
    clock.forward_to(8_000)
    assert clock.now_ms() == 9_000
    now[0] = 6_000
    assert clock.now_ms() == 10_000


@given(
    amount=st.integers(0, MAX_AMOUNT),
    text=st.text(max_size=300).map(str.strip),
    bounce=st.booleans(),
)
def test_a_deposit_is_read_back_from_its_cells(amount: int, text: str, *, bounce: bool) -> None:
    """Its hash is its id; the product's own reader finds amount, comment and fate."""
    chain = TonChain("test", ChainClock())
    made = chain.deposit("buyer", chain.wallet, amount, text, bounce=bounce)
    assert Cell.one_from_boc(made.boc).hash.hex() == made.tx_id
    read = ton.parse(made.boc, tx_id=made.tx_id, account=chain.wallet)
    verdict = ton.judge(read, ton.TonShop(chain.wallet, "", ""), since_ms=0)
    if bounce:
        assert verdict == Rejected(made.tx_id, Reason.BOUNCED)
    elif amount == 0:
        assert verdict == Rejected(made.tx_id, Reason.NOT_POSITIVE)
    else:
        assert isinstance(verdict, Transfer)
        assert (verdict.amount, verdict.comment) == (amount, text)
        assert verdict.sender == chain.account("buyer")
        assert verdict.settles


@pytest.mark.parametrize(("method", "kind"), [pair for pair in EACH if pair[0] is not Method.TRON])
def test_each_ton_transaction_follows_the_block_format(method: Method, kind: PaymentKind) -> None:
    """Another reader takes all its phases, to the last bit, and the accounts are chains."""
    chains = Chains.of("test")
    paid(chains, method, kind)
    paid(chains, method, kind)
    accounts = (chains.ton.wallet, chains.ton.jetton_wallet(chains.ton.wallet, chains.ton.master))
    seen = 0
    for account in accounts:
        previous = (0, "00" * 32)
        for made in chains.ton.history(account):
            read = Transaction.deserialize(Cell.one_from_boc(made.boc).begin_parse())
            assert (read.prev_trans_lt, read.prev_trans_hash.hex()) == previous
            assert read.account_addr.hex() == account[2:]
            assert read.in_msg.info.dest.hash_part.hex() == account[2:]
            assert read.outmsg_cnt == len(read.out_msgs) == len(made.outgoing)
            assert read.description.credit_ph.credit.grams == made.incoming.value
            assert (read.description.bounce is not None) == made.bounced
            assert (read.description.compute_ph.type_ == "vm") == made.active
            assert (read.description.action is not None) == made.active
            assert read.description.destroyed is False
            # Whoever pays an account that has ended begins another one.
            ended = read.end_status.type_ == "nonexist"
            previous = (0, "00" * 32) if ended else (read.lt, made.tx_id)
            seen += 1
    assert seen == len(chains.ton) > 0


def test_a_forged_notice_differs_in_its_sender_alone() -> None:
    """Amount and comment are the same bytes; so only the sender can tell."""
    chain = TonChain("test", ChainClock())
    real = chain.pay_jettons("buyer", chain.wallet, 5, "text")[1]
    forged = chain.forge_jettons("buyer", chain.wallet, 5, "text")
    start = 32 + 64  # bits: the operation, and the number of the query
    bodies = [one.incoming.body.begin_parse().load_bits(200)[start:] for one in (real, forged)]
    assert bodies[0] == bodies[1]
    assert real.incoming.source != forged.incoming.source


@pytest.mark.parametrize("kind", list(PaymentKind))
def test_a_kind_exists_with_some_methods_and_is_refused_with_others(kind: PaymentKind) -> None:
    """A refusal names what there is, and makes nothing."""
    for method in Method:
        chains = Chains.of("test")
        if method in APPLIES[kind]:
            assert paid(chains, method, kind)
        else:
            with pytest.raises(InvalidInput, match="exists with") as caught:
                paid(chains, method, kind)
            assert "exact" in caught.value.remedy
            assert len(chains.tron) + len(chains.ton) == 0
