"""TON transactions made of cells, by the TL-B scheme of block.tlb, with hashes that hold."""

from __future__ import annotations

from dataclasses import dataclass, field

from pytoniq_core import Address, Builder, Cell, HashMap

from tests.unit.payments.shop import JETTON_WALLET, NOW, TON_BUYER, TON_WALLET

ZERO = "00" * 32


@dataclass(frozen=True)
class Made:
    """A transaction: its id, its cells as bytes, and what an API says beside."""

    tx_id: str
    boc: bytes
    lt: int
    account: str
    time_s: int
    ended: bool = False


END = {"active": "10", "uninit": "00", "nonexist": "11"}
"""States that an account may be in after a transaction."""


def comment(text: str | bytes) -> Cell:
    """The body of a text comment, in as many cells as it takes."""
    content = text if isinstance(text, bytes) else text.encode()
    pieces = [content[:123], *(content[at : at + 127] for at in range(123, len(content), 127))]
    tail: Cell | None = None
    for number, piece in reversed(list(enumerate(pieces))):
        builder = Builder()
        if number == 0:
            builder.store_uint(0, 32)
        builder.store_bytes(piece)
        if tail is not None:
            builder.store_ref(tail)
        tail = builder.end_cell()
    assert tail is not None
    return tail


def notification(
    amount: int, text: str = "", *, sender: str | None = TON_BUYER, inline: bool = False
) -> Cell:
    """The body of a jetton's transfer notification (TEP-74)."""
    builder = Builder().store_uint(0x7362D09C, 32).store_uint(7, 64).store_coins(amount)
    builder.store_address(None if sender is None else Address(sender))
    return _payload(builder, text, inline=inline)


def internal_transfer(amount: int, text: str = "", *, sender: str = TON_BUYER) -> Cell:
    """The body that one jetton wallet sends to another (TEP-74)."""
    builder = Builder().store_uint(0x178D4519, 32).store_uint(7, 64).store_coins(amount)
    builder.store_address(Address(sender)).store_address(Address(sender)).store_coins(0)
    return _payload(builder, text, inline=False)


def excesses() -> Cell:
    """The body of a jetton transfer's change."""
    return Builder().store_uint(0xD53276DB, 32).store_uint(7, 64).end_cell()


def _payload(builder: Builder, text: str, *, inline: bool) -> Cell:
    if inline:
        return builder.store_bit(0).store_cell(comment(text)).end_cell()
    return builder.store_bit(1).store_ref(comment(text)).end_cell()


def message(
    body: Cell, *, source: str, destination: str, value: int, bounced: bool = False
) -> Cell:
    """An internal message."""
    builder = Builder().store_bit(0).store_bit(1).store_bit(1).store_bit(int(bounced))
    builder.store_address(Address(source)).store_address(Address(destination))
    builder.store_coins(value).store_bit(0).store_coins(0).store_coins(1000)
    builder.store_uint(5, 64).store_uint(NOW // 1000, 32)
    return builder.store_bit(0).store_bit(1).store_ref(body).end_cell()


def external(destination: str) -> Cell:
    """An external message, as a wallet's owner sends it."""
    builder = Builder().store_bits("10").store_uint(0, 2).store_address(Address(destination))
    return builder.store_coins(0).store_bit(0).store_bit(0).end_cell()


def transaction(
    incoming: Cell | None,
    *,
    account: str = TON_WALLET,
    lt: int = 10,
    previous: tuple[int, str] = (0, ZERO),
    time_s: int = NOW // 1000 + 60,
    outgoing: tuple[Cell, ...] = (),
    bounce: str = "",
    aborted: bool = False,
    ordinary: bool = True,
    end: str = "active",
) -> Made:
    """A transaction of `account` that `incoming` set off."""
    messages = Builder()
    if incoming is None:
        messages.store_bit(0)
    else:
        messages.store_bit(1).store_ref(incoming)
    table = HashMap(15, value_serializer=lambda src, dest: dest.store_ref(src))
    for number, out in enumerate(outgoing):
        table.set_int_key(number, out)
    messages.store_dict(table.serialize() if outgoing else None)
    update = Builder().store_uint(0x72, 8).store_bytes(b"\1" * 32).store_bytes(b"\2" * 32)
    description = _ordinary(bounce, aborted=aborted) if ordinary else _tick()
    root = (
        Builder()
        .store_bits("0111")
        .store_bytes(bytes.fromhex(account.partition(":")[2]))
        .store_uint(lt, 64)
        .store_bytes(bytes.fromhex(previous[1]))
        .store_uint(previous[0], 64)
        .store_uint(time_s, 32)
        .store_uint(len(outgoing), 15)
        .store_bits("10" + END[end])
        .store_ref(messages.end_cell())
        .store_coins(0)
        .store_bit(0)
        .store_ref(update.end_cell())
        .store_ref(description)
        .end_cell()
    )
    return Made(root.hash.hex(), root.to_boc(), lt, account, time_s, end == "nonexist")


def _ordinary(bounce: str, *, aborted: bool) -> Cell:
    builder = Builder().store_bits("0000").store_bit(1).store_bit(0).store_bit(0)
    builder.store_bit(0).store_bits("00").store_bit(0).store_bit(int(aborted))
    if bounce:
        builder.store_bit(1).store_bits({"ok": "1", "nofunds": "01", "negfunds": "00"}[bounce])
        if bounce != "negfunds":
            builder.store_uint(0, 3).store_uint(0, 3).store_coins(1)
        if bounce == "ok":
            builder.store_coins(1)
    else:
        builder.store_bit(0)
    return builder.store_bit(0).end_cell()


def _tick() -> Cell:
    # tick; storage: no fees, none due, unchanged; compute: skipped, no state; no action.
    return Builder().store_bits("0010000000000000").end_cell()


@dataclass
class TonAccount:
    """An account whose transactions follow each other."""

    address: str = TON_WALLET
    made: list[Made] = field(default_factory=list)

    def take(
        self,
        body: Cell,
        value: int,
        *,
        source: str = TON_BUYER,
        time_s: int = NOW // 1000 + 60,
        bounced: bool = False,
        outgoing: tuple[Cell, ...] = (),
        bounce: str = "",
        aborted: bool = False,
        end: str = "active",
    ) -> Made:
        """Add the transaction that an internal message sets off."""
        incoming = message(
            body, source=source, destination=self.address, value=value, bounced=bounced
        )
        return self.add(
            incoming,
            time_s=time_s,
            outgoing=outgoing,
            bounce=bounce,
            aborted=aborted,
            end=end,
        )

    def add(
        self,
        incoming: Cell | None,
        *,
        time_s: int = NOW // 1000 + 60,
        outgoing: tuple[Cell, ...] = (),
        bounce: str = "",
        aborted: bool = False,
        end: str = "active",
    ) -> Made:
        """Add the transaction that a message sets off, after which the account may be no more."""
        last = self.made[-1] if self.made else None
        one = transaction(
            incoming,
            account=self.address,
            lt=(last.lt if last else 0) + 10,
            previous=(last.lt, last.tx_id) if last and not last.ended else (0, ZERO),
            time_s=time_s,
            outgoing=outgoing,
            bounce=bounce,
            aborted=aborted,
            end=end,
        )
        self.made.append(one)
        return one

    def pay(self, text: str, value: int, *, time_s: int = NOW // 1000 + 60) -> Made:
        """A deposit with a comment."""
        return self.take(comment(text), value, time_s=time_s)

    def notice(
        self,
        text: str,
        amount: int,
        *,
        wallet: str = JETTON_WALLET,
        time_s: int = NOW // 1000 + 60,
        end: str = "active",
    ) -> Made:
        """A notice of jettons with a comment, carried by one nanoton."""
        return self.take(
            notification(amount, text),
            1,
            source=wallet,
            time_s=time_s,
            bounce="nofunds",
            aborted=True,
            end=end,
        )

    def receive_jettons(
        self,
        text: str,
        amount: int,
        *,
        time_s: int = NOW // 1000 + 60,
        outgoing: tuple[Cell, ...] = (),
    ) -> Made:
        """Jettons with a comment, at the jetton wallet that this account is."""
        body = internal_transfer(amount, text)
        return self.take(body, 10**8, time_s=time_s, outgoing=outgoing)
