"""TON in memory: buyers' wallets pay, jettons move, and forgeries of both.

A buyer pays from a wallet contract of the own, by a message from outside that is signed with its
key and that the wallet checks (see `ton_wallets`); the first one brings the wallet's code. From
there each message is followed until it has reached the shop: it arrives as it was sent. What goes
back to a buyer is not followed.

The shop's wallet is one that was never used, so it has no code: value stays with it, unless the
message asks to come back. Storage uses up the nanoton that a notice leaves there, and the account
is there no more; the next message makes a new one, whose history begins with it. A jetton transfer
is what TEP-74 makes of it: the buyer's wallet asks the own jetton wallet, whose `internal_transfer`
reaches the shop's jetton wallet, which notifies its owner and returns the change.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from nacl.signing import SigningKey

from actors.payments.sandbox import ton_cells, ton_wallets
from actors.payments.sandbox.ton_cells import TonEnvelope, TonExternal, TonRecord
from actors.payments.sandbox.ton_wallets import BuyerWallet, WalletData

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytoniq_core.boc.cell import Cell

    from actors.payments.sandbox.chain_clock import ChainClock

FIRST_LT: Final = 50_000_000_000_000
LT_STEP: Final = 1_000_000  # between blocks
FIRST_BLOCK: Final = 40_000_000
FUNDS: Final = 10**12  # nanotons that a buyer's wallet begins with; no balance of it is kept
NOTICE: Final = 1  # nanotons that carry a notification
ASKED_WITH: Final = 60_000_000  # nanotons that a buyer asks for a jetton transfer with
CARRIED: Final = 50_000_000  # of them, what carries the jettons
STORAGE: Final = 2  # nanotons that an account without code loses until it is touched again
CHANGE: Final = 30_000_000  # of what carries jettons, what comes back
MOST: Final = 9
"""Transactions of one payment, at most: jettons twice, and the funds of a new buyer."""


class TonChain:
    """The chain.

    Args:
        seed: seed of all addresses.
        clock: the clock of the chain.
    """

    def __init__(self, seed: str, clock: ChainClock) -> None:
        self._seed = seed
        self._clock = clock
        self._lt = FIRST_LT
        self._block = FIRST_BLOCK
        self._query = 0
        self._accounts: dict[str, list[TonRecord]] = {}
        self._balances: dict[str, int] = {}  # of accounts without code, nanotons
        self._payments: dict[str, list[TonRecord]] = {}  # by the id of each of its transactions
        self._wallets: dict[str, BuyerWallet] = {}  # by the name of the owner
        self._data: dict[str, WalletData] = {}  # of wallets that have code, by address
        self.wallet = self.account("shop")
        self.master = self._contract("USDT master")
        self.fake_master = self._contract("a master called USDT")

    def __len__(self) -> int:
        return sum(len(made) for made in self._accounts.values())

    def account(self, name: str) -> str:
        """The address of the wallet of that name, raw form."""
        return self._wallet(name).address

    def _wallet(self, name: str) -> BuyerWallet:
        if name not in self._wallets:
            seed = hashlib.sha256(f"{self._seed}/ton/{name}".encode()).digest()
            self._wallets[name] = BuyerWallet(SigningKey(seed))
        return self._wallets[name]

    def _contract(self, name: str) -> str:
        """The address of a contract that is no wallet, raw form."""
        return "0:" + hashlib.sha256(f"{self._seed}/ton/{name}".encode()).hexdigest()

    def jetton_wallet(self, owner: str, master: str) -> str:
        """The address of an owner's jetton wallet."""
        return "0:" + hashlib.sha256(f"{owner}/{master}".encode()).hexdigest()

    def deposit(
        self, sender: str, to: str, amount: int, text: str, *, bounce: bool = False
    ) -> TonRecord:
        """`sender`, a name, sends coins; with `bounce`, they go back, as the account has no code.

        Args:
            sender: name of the owner of a wallet.
            to: raw form.
            amount: amount in nanotons.
            text: text of the comment.
            bounce: the message asks for it.

        Returns:
            The transaction of the account that they are sent to.
        """
        paid = self._ask(sender, to, amount, ton_cells.comment(text), bounce=bounce)
        (message,) = paid.outgoing
        back = [self._returned(message)] if bounce else []
        reached = self._add(message, back, active=False, bounced=bounce)
        return self._together([paid, reached])[-1]

    def pay_jettons(
        self,
        sender: str,
        owner: str,
        amount: int,
        text: str,
        *,
        notify: bool = True,
        master: str | None = None,
    ) -> list[TonRecord]:
        """`sender` sends jettons: transactions of the owner's jetton wallet, and of the owner.

        Args:
            sender: name of the owner of a wallet.
            owner: owner of the jetton wallet, raw form.
            amount: amount in the smallest unit.
            text: text of the comment.
            notify: whether the owner gets a message about it.
            master: the jettons' master; None for USDT.
        """
        self._query += 1
        query, buyer = self._query, self.account(sender)
        theirs, wallet = (self.jetton_wallet(one, master or self.master) for one in (buyer, owner))
        forward = NOTICE if notify else 0
        asked = ton_cells.jetton_transfer(query, amount, owner, buyer, forward, text)
        paid = self._ask(sender, theirs, ASKED_WITH, asked, bounce=True)
        body = ton_cells.internal_transfer(query, amount, buyer, forward, text)
        message = TonEnvelope(theirs, wallet, CARRIED, body, bounce=True)
        left = self._add(paid.outgoing[0], [message], active=True)
        told = ton_cells.notification(query, amount, buyer, text)
        notices = [TonEnvelope(wallet, owner, NOTICE, told)] if notify else []
        change = TonEnvelope(wallet, buyer, CHANGE, ton_cells.excesses(query))
        made = [self._add(left.outgoing[0], [*notices, change], active=True)]
        made += [self._add(one, [], active=False) for one in made[0].outgoing[: len(notices)]]
        self._together([paid, left, *made])
        return made

    def _ask(
        self, sender: str, to: str, value: int, body: Cell, *, bounce: bool = False
    ) -> TonRecord:
        """The transaction by which the wallet of `sender` sends a message."""
        wallet = self._wallet(sender)
        if not self.history(wallet.address):
            exchange, now = self._contract("exchange"), (self._lt + 1, self._clock.now_ms() // 1000)
            funds = TonEnvelope(exchange, wallet.address, FUNDS, ton_cells.comment(""), created=now)
            self._add(funds, [], active=False)
        known = self._data.get(wallet.address)
        message = TonEnvelope(wallet.address, to, value, body, bounce=bounce)
        seqno = 0 if known is None else known.seqno
        return self.take(wallet.sign(message, seqno, self._clock.now_ms() // 1000))

    def take(self, boc: bytes) -> TonRecord:
        """The transaction that a message from outside sets off; what it sends is still to arrive.

        Raises:
            MessageRefused: its wallet does not take it.
        """
        message, data = ton_wallets.accept(boc, self._data, self._clock.now_ms() // 1000)
        self._data[message.destination] = data
        return self._add(message, [message.sends], active=True)

    def _together(self, made: list[TonRecord]) -> list[TonRecord]:
        for one in made:
            self._payments[one.tx_id] = made
        return made

    def payment(self, tx_id: str) -> list[TonRecord]:
        """The transactions of the payment that one belongs to, in order; empty if there is none."""
        return self._payments.get(tx_id, [])

    def _returned(self, message: TonEnvelope) -> TonEnvelope:
        return TonEnvelope(
            message.destination,
            message.source,
            max(0, message.value - 2 * ton_cells.FORWARD_FEE),
            ton_cells.bounced_body(message.body),
            bounced=True,
        )

    def _add(
        self,
        message: TonEnvelope | TonExternal,
        sent: Sequence[TonEnvelope],
        *,
        active: bool,
        bounced: bool = False,
    ) -> TonRecord:
        self._lt += LT_STEP
        self._block += 1
        history = self._accounts.setdefault(message.destination, [])
        ends = ton_cells.ACTIVE
        if not active and isinstance(message, TonEnvelope):
            ends = self._left(message, kept=not bounced)
        made = ton_cells.transaction(
            message,
            sent,
            lt=self._lt,
            time_s=self._clock.now_ms() // 1000,
            before=history[-1] if history else None,
            active=active,
            bounced=bounced,
            ends=ends,
        )
        history.append(made)
        return made

    def _left(self, message: TonEnvelope, *, kept: bool) -> str:
        """The state of an account without code that gets a message, its balance updated."""
        held = self._balances.get(message.destination, 0)
        balance = held + (message.value if kept else 0)
        if held:
            balance = max(0, balance - STORAGE)
        self._balances[message.destination] = balance
        return ton_cells.UNINIT if balance else ton_cells.NONEXIST

    def head(self) -> tuple[int, int]:
        """Number and time, s, of the newest block of the masterchain."""
        return self._block, self._clock.now_ms() // 1000

    def history(self, account: str) -> list[TonRecord]:
        """An account's transactions, oldest first."""
        return self._accounts.get(account, [])

    def remembered(self, account: str) -> list[TonRecord]:
        """Those that lead to an account's present state, oldest first; none if it is not there."""
        made = self.history(account)
        ends = [number for number, one in enumerate(made) if one.ends == ton_cells.NONEXIST]
        return made[ends[-1] + 1 :] if ends else made
