# ruff: noqa: N818 - as in runtime.errors, an error is named by its condition
"""The errors of payments, in the project's tree.

X0Error
├── UnknownOrder            404
├── UnknownPlan             404
├── UnknownReview           404
├── UnknownLicence          404  a code is forged, foreign or of an order that was not paid
├── TokenRefused            404  a download token is forged, foreign or expired
├── Conflict
│   └── InvalidTransition   409
├── OrdersFull              429
├── TooManyClaims           429
├── Unavailable
│   ├── PaymentsOff         503
│   └── ChainUnavailable    503
│       └── AnswerTooLarge  503  a smaller question may be answered
├── ConfigurationError
│   ├── ChainRefused        500  a key or an address is wrong: a person must act
│   ├── GoodsMissing        500  a plan brings a file that is not there
│   ├── DamagedRecord       500  one record of the ledger cannot be read
│   └── BotRefused          500  Telegram refuses the bot's token
├── ClockSkewed             500  the clock is off the chain's
├── FormerWalletUnread      502  what was paid to a wallet that the shop had before is not found
└── UntrustedHistory        502  an API contradicts itself or the chain
    └── HistoryForgotten    502  an API has forgotten what an account was before it ended
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from actors.runtime.errors import ConfigurationError, Conflict, Unavailable, X0Error, close_matches

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.payments.chains.money import Network


class UnknownOrder(X0Error):
    """There is no order `order`."""

    http_status = 404

    order: str

    def __init__(self, order: str) -> None:
        super().__init__(
            f"no order {order[:40]!r}",
            "the ledger has no such id",
            "List them with `x0 pay orders`.",
            order=order,
        )


class UnknownPlan(X0Error):
    """The catalogue has no plan `plan`, or the plan cannot be paid in that way."""

    http_status = 404

    plan: str

    def __init__(self, plan: str, why: str, *, known: Iterable[str] = ()) -> None:
        remedy = close_matches(plan, known) or "See `x0 pay catalogue`."
        super().__init__(f"no plan {plan[:40]!r} for that", why, remedy, plan=plan)


class UnknownReview(X0Error):
    """There is no open review of `subject` of the kind that was asked for."""

    http_status = 404

    subject: str

    def __init__(self, subject: str, why: str = "the queue has no such open entry") -> None:
        super().__init__(
            f"nothing to review under {subject[:100]!r}",
            why,
            "List it with `x0 pay review`.",
            subject=subject,
        )


class UnknownLicence(X0Error):
    """A licence code is not one that this shop has sold."""

    http_status = 404

    def __init__(self) -> None:
        super().__init__(
            "that is no licence of this shop",
            "its code was not made here, or belongs to no order that was paid",
            "Copy the code again, whole: eight groups of four.",
        )


class TokenRefused(X0Error):
    """A download token opens nothing. All that are refused look the same from outside."""

    http_status = 404

    def __init__(self) -> None:
        super().__init__(
            "this link opens nothing",
            "it is not of this shop, or its time is over",
            "Ask for a new one where you bought.",
        )


class InvalidTransition(Conflict):
    """An order cannot go from state `before` to state `to`."""

    order: str
    before: str
    to: str

    def __init__(self, order: str, before: str, to: str) -> None:
        super().__init__(
            f"order {order} cannot become {to}",
            f"it is {before}",
            "Look at it with `x0 pay orders`.",
            order=order,
            before=before,
            to=to,
        )


class OrdersFull(X0Error):
    """No more open orders for the moment; retry after `retry_after_s` seconds."""

    http_status = 429

    retry_after_s: float

    def __init__(self, why: str, *, retry_after_s: float) -> None:
        super().__init__(
            "no further order can be opened",
            why,
            "Pay or let expire what is open, then retry.",
            retry_after_s=retry_after_s,
        )


class TooManyClaims(X0Error):
    """Transactions were named too often; retry after `retry_after_s` seconds."""

    http_status = 429

    retry_after_s: float

    def __init__(self, most: int, *, retry_after_s: float) -> None:
        super().__init__(
            "no further transaction is looked up now",
            f"{most} were in the last hour",
            "Wait; what arrived on the chain is found without being named.",
            retry_after_s=retry_after_s,
        )


class PaymentsOff(Unavailable):
    """No wallet is set, so nothing can be paid."""

    def __init__(self) -> None:
        super().__init__(
            "payments are off",
            "no wallet is set",
            "Set X0TTA6BL4_TRON_WALLET or X0TTA6BL4_TON_WALLET;"
            " a mesh takes them when it is started.",
            retry_after_s=3600.0,
        )


class ChainUnavailable(Unavailable):
    """The API of a chain did not answer usefully, after all retries."""

    def __init__(self, network: str, why: str, *, retry_after_s: float = 30.0) -> None:
        super().__init__(
            f"the {network} API does not answer",
            why,
            "It is asked again at the next poll; no order expires meanwhile.",
            retry_after_s=retry_after_s,
            network=network,
        )


class AnswerTooLarge(ChainUnavailable):
    """The API of a chain answers with more than is read; it may do better when asked for less."""

    def __init__(self, network: str, most: int) -> None:
        super().__init__(network, f"its answer is longer than {most} bytes")


class ChainRefused(ConfigurationError):
    """The API of a chain refuses what it was asked, so a setting is wrong."""


class GoodsMissing(ConfigurationError):
    """The file that a plan brings is not there, so the plan is neither sold nor delivered."""

    def __init__(self, plan: str, file: str, directory: str) -> None:
        super().__init__(
            f"plan {plan} cannot be delivered",
            f"{directory} has no file {file}",
            "Put it there, or correct the catalogue; what was sold before is delivered then.",
            variable="X0TTA6BL4_CATALOGUE",
        )


class DamagedRecord(ConfigurationError):
    """A record of the ledger holds what no program has written there."""

    record: str

    def __init__(self, record: str, why: str) -> None:
        super().__init__(
            f"the ledger's record of {record[:120]} cannot be read",
            why,
            "The database is damaged there. Restore it from a copy; all else in it can be used.",
            variable="X0TTA6BL4_DATABASE_URL",
        )
        self.record = record


class BotRefused(ConfigurationError):
    """Telegram refuses the bot's token, or it has no form of one."""

    def __init__(self, why: str) -> None:
        super().__init__(
            "the Telegram bot cannot work",
            why,
            "Set X0TTA6BL4_TELEGRAM_TOKEN to the token that @BotFather gave, whole.",
            variable="X0TTA6BL4_TELEGRAM_TOKEN",
        )


class UntrustedHistory(X0Error):
    """The API of a chain contradicts itself or the chain; nothing of it was taken over."""

    http_status = 502

    def __init__(
        self, network: str, why: str, *, what: str | None = None, remedy: str | None = None
    ) -> None:
        super().__init__(
            what or f"the {network} history cannot be trusted",
            why,
            remedy
            or "It is read again at the next poll; if it stays so, use another API, or read it"
            f" anew: `x0 pay scan --network {network} --from TIME`.",
            network=network,
        )


class HistoryForgotten(UntrustedHistory):
    """An account on TON has ended and begun anew, and the API lists nothing from before."""

    def __init__(self, began_ms: int) -> None:
        began = datetime.fromtimestamp(began_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        super().__init__(
            "ton",
            "the wallet was emptied to its end after the last scan, and used again; this API lists"
            " nothing from before that any more",
            what=f"the ton API has forgotten what came in until {began} UTC",
            remedy=f"Go on from there: `x0 pay scan --network ton --from {began}`. If something was"
            " paid between the last scan and that time, bring it in by its id (--transaction),"
            " with tonapi as X0TTA6BL4_TON_API_URL.",
        )


class TransportBusy(Unavailable):
    """The transport asks to be left alone for `retry_after_s` seconds, or is not there."""

    def __init__(self, why: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(
            "a message could not be sent now",
            why,
            "It is sent again by itself.",
            retry_after_s=retry_after_s or 0.0,
        )


class TransportRefused(X0Error):
    """The recipient can never be reached: a person decides."""

    def __init__(self, why: str) -> None:
        super().__init__(
            "a message cannot be delivered",
            why,
            "Reach the buyer in another way, then `x0 pay review`.",
        )


class ClockSkewed(X0Error):
    """The shop's clock is `skew_ms` behind that of a chain, or ahead of it if that is below 0."""

    def __init__(self, network: Network, skew_ms: int, *, expires: bool) -> None:
        if skew_ms > 0:
            off = f"it is {skew_ms / 1000:.0f} s behind the newest block of {network}"
        else:
            off = (
                f"it is {-skew_ms / 1000:.0f} s ahead of {network},"
                " or the API's newest block is older than it should be"
            )
        super().__init__(
            "the shop's clock is wrong",
            off + ("" if expires else "; no order expires meanwhile"),
            "Set it by NTP (`timedatectl set-ntp true`).",
            network=network,
            skew_ms=skew_ms,
        )


class FormerWalletUnread(X0Error):
    """A wallet that the shop had before could not be read, though orders name it."""

    http_status = 502

    def __init__(self, wallet: str, error: X0Error) -> None:
        super().__init__(
            f"the former wallet {wallet} could not be read",
            f"{error.what}: {error.why}",
            "It is read again at the next poll, up to a day after the last order's time; after "
            "that, look yourself whether anything was paid there.",
            wallet=wallet,
        )


class CursorStale(X0Error):
    """The history of a network was not read to its end for `age_s` seconds."""

    def __init__(self, network: Network, age_s: float) -> None:
        super().__init__(
            f"payments on {network} are not being read",
            f"the last scan that came to its end was {age_s:.0f} s ago",
            "See the errors before this one; `x0 pay scan` tries it at once.",
            network=network,
            age_s=age_s,
        )
