"""TON in memory: deposits to the shop, jettons to its jetton wallet, and forgeries of both.

The shop's wallet is one that was never used, so it has no code: value stays with it, unless the
message asks to come back. Storage uses up the nanoton that a notice leaves there, and the account
is there no more; the next message makes a new one, whose history begins with it. A jetton transfer
is what TEP-74 makes of it: `internal_transfer` reaches the shop's jetton wallet, which notifies its
owner and returns the change.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from actors.payments.sandbox import ton_cells
from actors.payments.sandbox.ton_cells import TonEnvelope, TonRecord

if TYPE_CHECKING:
    from pytoniq_core.boc.cell import Cell

    from actors.payments.sandbox.chain_clock import ChainClock

FIRST_LT: Final = 50_000_000_000_000
LT_STEP: Final = 1_000_000  # between blocks
FIRST_BLOCK: Final = 40_000_000
NOTICE: Final = 1  # nanotons that carry a notification
CARRIED: Final = 50_000_000  # nanotons that carry a jetton transfer
STORAGE: Final = 2  # nanotons that an account without code loses until it is touched again
CHANGE: Final = 30_000_000  # of them, what comes back


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
        self.wallet = self.account("shop")
        self.master = self.account("USDT master")
        self.fake_master = self.account("a master called USDT")

    def __len__(self) -> int:
        return sum(len(made) for made in self._accounts.values())

    def account(self, name: str) -> str:
        """The address of the account of that name, raw form."""
        return "0:" + hashlib.sha256(f"{self._seed}/ton/{name}".encode()).hexdigest()

    def jetton_wallet(self, owner: str, master: str) -> str:
        """The address of an owner's jetton wallet."""
        return "0:" + hashlib.sha256(f"{owner}/{master}".encode()).hexdigest()

    def deposit(
        self, sender: str, to: str, amount: int, text: str, *, bounce: bool = False
    ) -> TonRecord:
        """`sender`, a name, sends coins; with `bounce`, they go back, as the account has no code.

        Args:
            sender: name of the account.
            to: raw form.
            amount: amount in nanotons.
            text: text of the comment.
            bounce: the message asks for it.
        """
        message = TonEnvelope(
            self.account(sender), to, amount, ton_cells.comment(text), bounce=bounce
        )
        back = [self._returned(message)] if bounce else []
        return self._together([self._add(message, back, active=False, bounced=bounce)])[0]

    def pay_jettons(
        self, sender: str, owner: str, amount: int, text: str, *, notify: bool = True
    ) -> list[TonRecord]:
        """`sender` sends jettons: transactions of the owner's jetton wallet, and of the owner.

        Args:
            sender: name of the account.
            owner: owner of the jetton wallet, raw form.
            amount: amount in the smallest unit.
            text: text of the comment.
            notify: whether the owner gets a message about it.
        """
        self._query += 1
        source = self.account(sender)
        wallet = self.jetton_wallet(owner, self.master)
        forward = NOTICE if notify else 0
        body = ton_cells.internal_transfer(self._query, amount, source, forward, text)
        theirs = self.jetton_wallet(source, self.master)
        message = TonEnvelope(theirs, wallet, CARRIED, body, bounce=True)
        notice = self._notice(
            wallet, owner, ton_cells.notification(self._query, amount, source, text)
        )
        change = TonEnvelope(wallet, source, CHANGE, ton_cells.excesses(self._query))
        sent = [notice, change] if notify else [change]
        made = [self._add(message, sent, active=True)]
        if notify:
            made.append(self._add(notice, [], active=False))
        return self._together(made)

    def forge_jettons(self, sender: str, to: str, amount: int, text: str) -> TonRecord:
        """A jetton wallet of another master notifies `to` in the very same words."""
        self._query += 1
        wallet = self.jetton_wallet(to, self.fake_master)
        body = ton_cells.notification(self._query, amount, self.account(sender), text)
        return self._together([self._add(self._notice(wallet, to, body), [], active=False)])[0]

    def _together(self, made: list[TonRecord]) -> list[TonRecord]:
        for one in made:
            self._payments[one.tx_id] = made
        return made

    def payment(self, tx_id: str) -> list[TonRecord]:
        """The transactions of the payment that one belongs to, in order; empty if there is none."""
        return self._payments.get(tx_id, [])

    def _notice(self, wallet: str, owner: str, body: Cell) -> TonEnvelope:
        return TonEnvelope(wallet, owner, NOTICE, body)

    def _returned(self, message: TonEnvelope) -> TonEnvelope:
        return TonEnvelope(
            message.destination,
            message.source,
            max(0, message.value - 2 * ton_cells.FORWARD_FEE),
            ton_cells.bounced_body(message.body),
            bounced=True,
        )

    def _add(
        self, message: TonEnvelope, sent: list[TonEnvelope], *, active: bool, bounced: bool = False
    ) -> TonRecord:
        self._lt += LT_STEP
        self._block += 1
        history = self._accounts.setdefault(message.destination, [])
        ends = ton_cells.ACTIVE if active else self._left(message, kept=not bounced)
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
