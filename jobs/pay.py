"""`x0 pay`: orders, payments, and what a person has to decide about them."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from jobs import bot, pay_demo, pay_sandbox, reporting
from jobs.shop import ledger as _ledger
from jobs.shop import of_environment as _shop

if TYPE_CHECKING:
    from actors.payments.ledger import Ledger
    from actors.payments.orders import Order
    from actors.payments.scan import ScanResult
    from actors.payments.settings import Shop

BUSY_S: Final = 120.0  # that a scan waits for another process that is at it

app = typer.Typer(
    no_args_is_help=True,
    help="Take payments in USDT and TON: orders, scans of the chains, the review queue.",
)
review = typer.Typer(
    invoke_without_command=True,
    help="What came in and settles nothing by itself. Without a command: list it.",
)
app.add_typer(review, name="review")
app.add_typer(pay_sandbox.app, name="sandbox")
app.command("demo")(pay_demo.command)
app.command("bot")(bot.command)

Limit = Annotated[int, typer.Option(min=1, max=1000, help="List at most so many.")]
Subject = Annotated[str, typer.Argument(help="Name of the entry, as `x0 pay review` lists it.")]
Note = Annotated[str, typer.Option(help="Why, for those who read it later.")]


@app.command("catalogue")
@reporting.reported
def catalogue(as_json: reporting.AsJson = False) -> int:
    """List the plans that can be bought, with their prices."""
    from actors.payments import catalogue as plans  # noqa: PLC0415 - slow to import
    from actors.payments import money, views  # noqa: PLC0415 - the same

    report = reporting.Report(as_json)
    found = plans.load(_shop().catalogue)
    rows = [views.plan(plan) for plan in found.plans]
    shown = [
        (
            plan.id,
            plan.title("en"),
            ", ".join(
                f"{money.text(price, way)} {way.symbol} ({way})"
                for way, price in plan.prices.items()
            ),
            plan.delivers.file or plan.delivers.kind,
        )
        for plan in found.plans
    ]
    table = reporting.table("Plans", ("id", "title", "price", "delivers"), shown)
    report.result({"plans": rows}, table)
    return 0


@app.command("order")
@reporting.reported
def order(
    plan: Annotated[str, typer.Argument(help="Id of the plan, as in `x0 pay catalogue`.")],
    method: Annotated[
        str | None,
        typer.Option(
            help="Pay with: tron (USDT on TRON), ton, or ton-usdt. "
            "Default: the first that the plan has and the shop offers."
        ),
    ] = None,
    recipient: Annotated[
        str, typer.Option(help="Whose order it is, a name of your own; few may be open each.")
    ] = "",
    request: Annotated[
        str | None,
        typer.Option(help="Key of this request: the same key never makes a second order."),
    ] = None,
    language: Annotated[str, typer.Option(help="Of its messages: en or ru.")] = "en",
    as_json: reporting.AsJson = False,
) -> int:
    """Open an order, and show what to pay, where and until when."""
    from actors.payments import catalogue as plans  # noqa: PLC0415 - slow to import
    from actors.payments.counter import Counter  # noqa: PLC0415 - the same

    report = reporting.Report(as_json)
    shop = _shop(on=True)
    counter = Counter(shop, plans.load(shop.catalogue))
    with _ledger(shop) as ledger:
        made = counter.order(
            ledger,
            plan,
            counter.method(plan, method),
            request=request or f"cli:{secrets.token_hex(12)}",
            channel="pull",
            recipient=recipient,
            language=language,
        )
        values = _order_values(shop, ledger, made)
    wanted = {
        "pay": f"{values['amount']} {values['symbol']}, exactly",
        "to": values["pay_to"],
        "on": values["network"],
        **({"with the comment": values["comment"]} if made.comment else {}),
        "until": values["expires"],
        "state": values["state"],
    }
    report.result({"order": values}, reporting.pairs(f"Order {made.id}", wanted))
    return 0


@app.command("orders")
@reporting.reported
def orders(
    order_id: Annotated[str | None, typer.Argument(help="Show this one alone.")] = None,
    state: Annotated[
        list[str] | None, typer.Option(help="Only in this state; can be repeated.")
    ] = None,
    limit: Limit = 100,
    as_json: reporting.AsJson = False,
) -> int:
    """List orders, newest first; or show one, with what it brings once it is paid."""
    from actors.payments.orders import State  # noqa: PLC0415 - slow to import
    from actors.runtime.errors import InvalidInput  # noqa: PLC0415 - the same

    report = reporting.Report(as_json)
    try:
        states = [State(text) for text in state or ()]
    except ValueError as error:
        raise InvalidInput(
            f"{error}", "an order is in one of a few states", f"Choose from {', '.join(State)}."
        ) from None
    shop = _shop()
    with _ledger(shop) as ledger:
        if order_id is not None:
            found = [ledger.orders.get(order_id)]
        else:
            found = ledger.orders.listing(states=states, limit=limit)
        values = [
            _order_values(shop, ledger, one, with_goods=order_id is not None) for one in found
        ]
    if order_id is not None:
        report.result({"order": values[0]}, reporting.pairs(f"Order {order_id}", values[0]))
        return 0
    columns = ("id", "state", "plan", "method", "amount", "created", "recipient")
    rows = [tuple(one[name] for name in columns) for one in values]
    report.result({"orders": values}, reporting.table("Orders", columns, rows))
    return 0


@app.command("scan")
@reporting.reported
def scan(
    network: Annotated[str, typer.Option(help="tron or ton.")],
    once: Annotated[
        bool, typer.Option("--once", help="Once, instead of every 30 s until Ctrl-C.")
    ] = False,
    as_json: reporting.AsJson = False,
) -> int:
    """Read a chain into the ledger: settle what was paid, expire what was not.

    Without --once it is a watcher in the foreground; several on one database are as good as one.
    """
    from actors.payments.money import Network  # noqa: PLC0415 - slow to import
    from actors.runtime.errors import InvalidInput  # noqa: PLC0415 - the same

    report = reporting.Report(as_json)
    if network not in set(Network):
        raise InvalidInput(
            f"no network {network[:40]!r}",
            "payments come from a few",
            f"Choose from {', '.join(Network)}.",
        )
    shop = _shop(on=True)
    with _ledger(shop) as ledger:
        if once:
            result = asyncio.run(_scan_once(shop, ledger, Network(network)))
            report.result(
                _scan_values(result), reporting.pairs(f"Scan of {network}", _lines(result))
            )
            return 0
        asyncio.run(_watch(shop, ledger, Network(network), report))
    return 0


@app.command("report")
@reporting.reported
def report_(
    since: Annotated[
        datetime | None, typer.Option(help="Count from this time on, UTC. Default: everything.")
    ] = None,
    as_json: reporting.AsJson = False,
) -> int:
    """Add up orders, takings, the review queue and proposed refunds."""
    from actors.payments import views  # noqa: PLC0415 - slow to import

    report = reporting.Report(as_json)
    since_ms = 0 if since is None else int(since.replace(tzinfo=UTC).timestamp() * 1000)
    with _ledger(_shop()) as ledger:
        found = ledger.report(since_ms=since_ms)
        cursors = ledger.intake.cursors()
        reviews = ledger.reviews.count()
    values = views.report(found, cursors, reviews)
    takings = values["takings"]
    columns = ("method", *next(iter(takings.values())))
    report.result(
        values,
        reporting.pairs("Orders", found.orders or {"none": ""}),
        reporting.table(
            "Takings", columns, [(way, *sums.values()) for way, sums in takings.items()]
        ),
        reporting.pairs("", {"open reviews": reviews, "messages to send": found.unsent}),
    )
    return 0


@review.callback()
def _list(
    context: typer.Context,
    closed: Annotated[bool, typer.Option("--closed", help="What was decided, instead.")] = False,
    limit: Limit = 100,
    as_json: reporting.AsJson = False,
) -> None:
    if context.invoked_subcommand is None:
        _list_reviews(closed=closed, limit=limit, as_json=as_json)


@reporting.reported
def _list_reviews(closed: bool, limit: int, as_json: bool) -> int:
    from actors.payments import views  # noqa: PLC0415 - slow to import

    report = reporting.Report(as_json)
    with _ledger(_shop()) as ledger:
        found = ledger.reviews.listing(closed=closed, limit=limit)
        count = ledger.reviews.count()
    values = [views.review(one) for one in found]
    columns = ("subject", "cause", "order", "amount", "sender", "block", "verified")
    if closed:
        columns = ("subject", "cause", "order", "amount", "decision", "refund_to", "note")
    rows = [tuple("" if one[name] is None else one[name] for name in columns) for one in values]
    title = "Decided" if closed else "Review queue"
    report.result(
        {"reviews": values, "open": count},
        reporting.table(title, columns, rows),
        f"{count} open",
    )
    return 0


@review.command("accept")
@reporting.reported
def accept(
    subject: Subject,
    order: Annotated[
        str | None, typer.Option(help="The order that it pays, if the entry names none.")
    ] = None,
    as_json: reporting.AsJson = False,
) -> int:
    """Take a transfer as the payment of an order, which is then delivered."""
    from actors.payments.database import now_ms  # noqa: PLC0415 - slow to import

    report = reporting.Report(as_json)
    with _ledger(_shop()) as ledger:
        paid = ledger.reviews.accept(subject, now_ms(), order_id=order)
    report.result(
        {"subject": subject, "decision": "accepted", "order": paid},
        f"{subject} is the payment of order {paid}",
    )
    return 0


@review.command("refund")
@reporting.reported
def refund(
    subject: Subject,
    to: Annotated[
        str | None, typer.Option(help="Address that it should go to. Default: its sender's.")
    ] = None,
    amount: Annotated[
        str | None, typer.Option(help="In whole coins. Default: all that came in.")
    ] = None,
    note: Note = "",
    as_json: reporting.AsJson = False,
) -> int:
    """Propose a refund. It is written down and never sent: send it from your wallet yourself."""
    from actors.payments import money, views  # noqa: PLC0415 - slow to import
    from actors.payments.counter import transfer_method  # noqa: PLC0415 - the same
    from actors.payments.database import now_ms  # noqa: PLC0415 - the same
    from actors.runtime.errors import InvalidInput  # noqa: PLC0415 - the same

    report = reporting.Report(as_json)
    with _ledger(_shop()) as ledger:
        units = None
        if amount is not None:
            try:
                units = money.parse(amount, transfer_method(ledger, subject))
            except ValueError as error:
                raise InvalidInput(
                    "the refund cannot be proposed", str(error), "Give an amount such as 9.90."
                ) from None
        found = ledger.reviews.propose_refund(subject, now_ms(), to=to, amount=units, note=note)
    values = views.review(found)
    report.result(
        {"review": values},
        f"proposed: {values['refund']} {values['symbol']} to {found.refund_to}; nothing was sent",
    )
    return 0


@review.command("dismiss")
@reporting.reported
def dismiss(subject: Subject, note: Note = "", as_json: reporting.AsJson = False) -> int:
    """Close an entry with nothing to be done."""
    from actors.payments.database import now_ms  # noqa: PLC0415 - slow to import

    report = reporting.Report(as_json)
    with _ledger(_shop()) as ledger:
        ledger.reviews.dismiss(subject, now_ms(), note=note)
    report.result({"subject": subject, "decision": "dismissed"}, f"{subject} is closed")
    return 0


@review.command("retry")
@reporting.reported
def retry(subject: Subject, as_json: reporting.AsJson = False) -> int:
    """Have a delivery that was given up tried again."""
    from actors.payments.database import now_ms  # noqa: PLC0415 - slow to import

    report = reporting.Report(as_json)
    with _ledger(_shop()) as ledger:
        again = ledger.reviews.retry(subject, now_ms())
    report.result(
        {"subject": subject, "decision": "retried", "order": again},
        f"order {again} is being delivered again",
    )
    return 0


async def _scan_once(shop: Shop, ledger: Ledger, network: Any) -> ScanResult:  # noqa: ANN401 - imported late
    from actors.payments import scan as scanning  # noqa: PLC0415 - slow to import
    from actors.payments import tokens  # noqa: PLC0415 - the same
    from actors.payments.courier import Courier, Pull  # noqa: PLC0415 - the same
    from actors.payments.delivery import Delivery  # noqa: PLC0415 - the same

    chain = shop.chain(network)
    async with scanning.connect(chain) as api:
        result = await scanning.scan(chain, ledger, api, wait_s=BUSY_S)
    delivery = Delivery(shop, ledger, tokens.ensure_key(shop.state_dir))
    await Courier(ledger, delivery, Pull()).round()
    return result


async def _watch(shop: Shop, ledger: Ledger, network: Any, report: reporting.Report) -> None:  # noqa: ANN401 - imported late
    from actors.payments import scan as scanning  # noqa: PLC0415 - slow to import
    from actors.payments import tokens, watcher  # noqa: PLC0415 - the same
    from actors.payments.delivery import Delivery  # noqa: PLC0415 - the same
    from actors.runtime.error_handler import ErrorHandler  # noqa: PLC0415 - the same
    from actors.runtime.metrics import MemoryMetrics  # noqa: PLC0415 - the same

    chain = shop.chain(network)
    metrics = MemoryMetrics()
    delivery = Delivery(shop, ledger, tokens.ensure_key(shop.state_dir))
    report.note(f"watching {chain.shown_wallet()}; Ctrl-C ends it")
    async with scanning.connect(chain) as api:
        errors = ErrorHandler(f"payments-{network}", metrics)
        await watcher.Watcher(chain, ledger, delivery, api, errors=errors, metrics=metrics).run()


def _scan_values(result: ScanResult) -> dict[str, object]:
    from actors.payments import views  # noqa: PLC0415 - slow to import

    return {
        "network": str(result.network),
        "pages": result.pages,
        "transfers": result.transfers,
        "settled": result.settled,
        "review": result.review,
        "rejected": dict(sorted(result.rejected.items())),
        "cursor": result.cursor,
        "waiting": result.waiting,
        "expired": result.expired,
        "chain_time": views.time(result.chain_ms) if result.chain_ms else None,
        "requests": result.requests,
    }


def _lines(result: ScanResult) -> dict[str, object]:
    values = _scan_values(result)
    rejected = ", ".join(f"{count} {why}" for why, count in sorted(result.rejected.items()))
    return {
        **values,
        "rejected": rejected or "none",
        "chain_time": values["chain_time"] or "unknown",
    }


def _order_values(
    shop: Shop, ledger: Ledger, one: Order, *, with_goods: bool = False
) -> dict[str, Any]:
    from actors.payments import tokens, views  # noqa: PLC0415 - slow to import
    from actors.payments.delivery import Delivery  # noqa: PLC0415 - the same

    goods = None
    if with_goods:
        goods = Delivery(shop, ledger, tokens.ensure_key(shop.state_dir)).of(one)
    return views.order(shop, one, goods)


if __name__ == "__main__":
    app()
