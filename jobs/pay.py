"""`x0 pay`: orders, payments, and what a person has to decide about them."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from actors.payments.chains.money import GRAM
from jobs import bot, pay_demo, pay_refund, pay_review, pay_sandbox
from jobs.launch import interruption, own_shop
from jobs.pay_review import Limit  # noqa: TC001 - typer reads annotations at run time
from jobs.terminal import exit_codes, pay_values, reporting

if TYPE_CHECKING:
    from actors.payments.ledger.ledger import Ledger
    from actors.payments.lookup import LookedUp
    from actors.payments.scan import ScanResult
    from actors.payments.shop import Shop

BUSY_S: Final = 120.0  # that a scan waits for another process that is at it

app = typer.Typer(
    no_args_is_help=True,
    context_settings=dict(reporting.HELP),
    help=f"Take payments in USDT and {GRAM}: orders, scans of the chains, reviews.",
)
app.add_typer(pay_review.app, name="review")
app.add_typer(pay_refund.app, name="refund")
app.add_typer(pay_sandbox.app, name="sandbox")
app.command("demo")(pay_demo.command)
app.command("bot")(bot.command)


@app.command("catalogue")
@reporting.reported
def catalogue(as_json: reporting.AsJson = False) -> int:
    """List the plans that can be bought, with their prices, and check that each can be delivered.

    A plan that cannot be is not sold; then the exit code is 3.
    """
    from actors.payments import answers
    from actors.payments import catalogue as plans
    from actors.payments.chains import money
    from actors.payments.checkout import Checkout

    report = reporting.Report(as_json)
    shop = own_shop.of_environment()
    found = plans.load(shop.catalogue)
    refusals = {plan.id: Checkout(shop, found).refusal(plan) for plan in found.plans}
    rows = [answers.plan(plan, refusals[plan.id]).values() for plan in found.plans]
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
    wrong = [error for error in refusals.values() if error is not None]
    report.result({"plans": rows}, table, *(f"not sold: {error}" for error in wrong))
    return exit_codes.NOT_WELL if wrong else 0


@app.command("order")
@reporting.reported
def order(
    plan: Annotated[str, typer.Argument(help="Id of the plan, as in `x0 pay catalogue`.")],
    method: Annotated[
        str | None,
        typer.Option(
            help=f"Pay with: tron (USDT on TRON), ton ({GRAM}), or ton-usdt. "
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
    from actors.payments import answers
    from actors.payments import catalogue as plans
    from actors.payments.checkout import Checkout

    report = reporting.Report(as_json)
    offers = own_shop.of_environment(on=True)
    checkout = Checkout(offers, plans.load(offers.catalogue))
    with own_shop.ledger(offers) as ledger:
        own_shop.delivery(offers, ledger)  # nothing is sold that could not be signed
        made = checkout.order(
            ledger,
            plan,
            checkout.method(plan, method),
            request=request or f"cli:{secrets.token_hex(12)}",
            channel="pull",
            recipient=recipient,
            language=language,
        )
        values = answers.order(offers, made).values()
    wanted = {
        "pay": f"{values['amount']} {made.method.symbol}, exactly",
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
    """List orders, newest first; or show one, with its payments and what it brings."""
    from actors.payments import answers
    from actors.payments.ledger.orders import OrderState
    from actors.runtime.errors import InvalidInput

    report = reporting.Report(as_json)
    try:
        states = [OrderState(text) for text in state or ()]
    except ValueError as error:
        raise InvalidInput(
            f"{error}",
            "an order is in one of a few states",
            f"Choose from {', '.join(OrderState)}.",
        ) from None
    offers = own_shop.of_environment()
    with own_shop.ledger(offers) as ledger:
        if order_id is not None:
            one = pay_values.order_values(offers, ledger, ledger.orders.get(order_id))
            shown = reporting.pairs(f"Order {order_id}", pay_values.order_lines(one))
            report.result({"order": one}, shown)
            return 0
        found = ledger.orders.listing(states=states, limit=limit)
    values = [answers.order(offers, one).values() for one in found]
    columns = ("id", "state", "plan", "method", "amount", "created", "recipient")
    rows = [tuple(one[name] for name in columns) for one in values]
    report.result({"orders": values}, reporting.table("Orders", columns, rows))
    return 0


@app.command("deliver")
@reporting.reported
def deliver(
    order_id: Annotated[str, typer.Argument(help="Id of a paid order, as in `x0 pay orders`.")],
    as_json: reporting.AsJson = False,
) -> int:
    """Deliver a paid order once more: after a repair, or for a link that has ended.

    A link that ends within a day is replaced by one that works for seven days.
    """
    from actors.runtime.database import now_ms

    report = reporting.Report(as_json)
    shop = own_shop.of_environment()
    with own_shop.ledger(shop) as ledger:
        one = own_shop.delivery(shop, ledger).again(order_id, now_ms())
        values = pay_values.order_values(shop, ledger, one)
    by = "the bot sends it" if one.channel == "telegram" else "who ordered it asks for it"
    report.result(
        {"order": values},
        reporting.pairs(f"Order {order_id} is being delivered", pay_values.order_lines(values)),
        by,
    )
    return 0


@app.command("scan")
@reporting.reported
def scan(
    network: Annotated[str, typer.Option(help="tron or ton.")],
    once: Annotated[
        bool, typer.Option("--once", help="Once, instead of every 30 s until Ctrl-C.")
    ] = False,
    transaction: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="Bring in this one alone, by its id (hash), or a link that has it."
        ),
    ] = None,
    begin: Annotated[
        datetime | None,
        typer.Option(
            "--from", help="Once, and again from this time on, UTC, for what was listed too late."
        ),
    ] = None,
    as_json: reporting.AsJson = False,
) -> int:
    """Read a chain into the ledger: settle what was paid, expire what was not.

    Without --once it is a watcher in the foreground; several on one database are as good as one.
    Whatever is read again, and however often, counts once.
    """
    from actors.payments import answers
    from actors.payments.chains.money import Network
    from actors.runtime.errors import InvalidInput

    report = reporting.Report(as_json)
    if network not in set(Network):
        raise InvalidInput(
            f"no network {network[:40]!r}",
            "payments come from a few",
            f"Choose from {', '.join(Network)}.",
        )
    if transaction is not None and (once or begin is not None):
        raise InvalidInput(
            "one transaction or the history, not both",
            "--transaction reads nothing else",
            "Leave out --once and --from, or --transaction.",
        )
    offers = own_shop.of_environment(on=True)
    with own_shop.ledger(offers) as ledger:
        if transaction is not None:
            found = interruption.run(_look_up(offers, ledger, Network(network), transaction))
            values = answers.looked_up(found).values()
            lines = pay_values.found_lines(values)
            report.result(values, reporting.pairs(f"Transaction {found.tx_id}", lines))
            return 0
        if once or begin is not None:
            result = interruption.run(_scan_once(offers, ledger, Network(network), begin))
            if result.skewed is not None:
                report.note(f"warning: {result.skewed}")
            for unread in result.unread.values():
                report.note(f"warning: {unread}")
            report.result(
                pay_values.scan_values(result),
                reporting.pairs(f"Scan of {network}", pay_values.scan_lines(result)),
            )
            return 0
        with interruption.meant(report.note):
            interruption.run(_watch(offers, ledger, Network(network), report))
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
    from actors.payments import answers

    report = reporting.Report(as_json)
    since_ms = 0 if since is None else _ms(since)
    with own_shop.ledger(own_shop.of_environment()) as ledger:
        found = ledger.report(since_ms=since_ms)
        cursors = ledger.intake.cursors()
        reviews = ledger.reviews.count()
    values = answers.report(found, cursors, reviews).values()
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


@app.command("licence")
@reporting.reported
def licence(
    code: Annotated[str, typer.Argument(help="Licence code, in any case and grouping.")],
    as_json: reporting.AsJson = False,
) -> int:
    """Say which paid order a licence code belongs to; another shop's code is an error."""
    from actors.payments import answers

    report = reporting.Report(as_json)
    offers = own_shop.of_environment()
    with own_shop.ledger(offers) as ledger:
        found = own_shop.delivery(offers, ledger).licensee(code)
    values = answers.licence(found).values()
    report.result({"licence": values}, reporting.pairs("Genuine licence", values))
    return 0


@app.command("key")
@reporting.reported
def key(
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Make a new key: all links and licences become void."),
    ] = False,
    as_json: reporting.AsJson = False,
) -> int:
    """Show the fingerprint of the key that links and licences are signed with."""
    from actors.payments import delivery, tokens
    from actors.runtime.database import now_ms

    report = reporting.Report(as_json)
    offers = own_shop.of_environment()
    with own_shop.ledger(offers) as ledger:
        if replace:
            made = tokens.replace_key(offers.state_dir)
            ledger.signing_keys.replace(tokens.fingerprint(made), now_ms())
        found = tokens.fingerprint(delivery.open_key(offers.state_dir, ledger))
    values = {"key": str(offers.state_dir / tokens.KEY), "fingerprint": found, "replaced": replace}
    report.result(values, reporting.pairs("Key", values))
    return 0


def _ms(time: datetime) -> int:
    """A time of an option, which is in UTC, as ms since the Unix epoch."""
    return int(time.replace(tzinfo=UTC).timestamp() * 1000)


async def _scan_once(
    offers: Shop,
    ledger: Ledger,
    network: Any,  # noqa: ANN401 - imported late
    begin: datetime | None,
) -> ScanResult:
    from actors.payments import scan as scanning

    chain = offers.chain(network)
    async with scanning.connect(chain) as api:
        result = await scanning.scan(
            chain,
            ledger,
            api,
            wait_s=BUSY_S,
            others=scanning.OTHERS if begin is None else scanning.MATCHED,
            from_ms=None if begin is None else _ms(begin),
        )
    await _deliver(offers, ledger)
    return result


async def _look_up(offers: Shop, ledger: Ledger, network: Any, text: str) -> LookedUp:  # noqa: ANN401 - imported late
    from actors.payments import lookup
    from actors.payments import scan as scanning

    chain = offers.chain(network)
    async with scanning.connect(chain) as api:
        found = await lookup.look_up(chain, ledger, api, text)
    await _deliver(offers, ledger)
    return found


async def _deliver(offers: Shop, ledger: Ledger) -> None:
    """Make the goods of who asks for them himself."""
    from actors.payments.outbox_relay import OutboxRelay, Pull

    await OutboxRelay(ledger, own_shop.delivery(offers, ledger), Pull()).round()


async def _watch(offers: Shop, ledger: Ledger, network: Any, report: reporting.Report) -> None:  # noqa: ANN401 - imported late
    from actors.payments import scan as scanning
    from actors.payments import watcher
    from actors.runtime.error_handler import ErrorHandler
    from actors.runtime.metrics import MemoryMetrics

    chain = offers.chain(network)
    metrics = MemoryMetrics()
    delivery = own_shop.delivery(offers, ledger)
    wallet = chain.shown_wallet()
    report.result({"network": str(network), "watching": wallet}, f"watching {wallet}")
    report.note("Ctrl-C ends it")
    async with scanning.connect(chain) as api:
        errors = ErrorHandler(f"payments-{network}", metrics)
        await watcher.Watcher(chain, ledger, delivery, api, errors=errors, metrics=metrics).run()


if __name__ == "__main__":
    reporting.start(app)
