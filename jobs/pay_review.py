"""`x0 pay review`: what came in and settles nothing by itself, for a person to decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from jobs.launch import own_shop
from jobs.terminal import exit_codes, pay_values, reporting

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from actors.payments.ledger.review_entries import ReviewFilter

app = typer.Typer(
    invoke_without_command=True,
    help="What came in and settles nothing by itself. Without a command: list it, first what names "
    "an order.",
)

_NOTHING: Final = "there is nothing to do"

Limit = Annotated[int, typer.Option(min=1, max=1000, help="List at most so many.")]
After = Annotated[
    str | None, typer.Option(help="Go on after this entry, the last of the page before.")
]
Subject = Annotated[str, typer.Argument(help="Name of the entry, as `x0 pay review` lists it.")]
Note = Annotated[str, typer.Option(help="Why, for those who read it later.")]
Causes = Annotated[
    list[str] | None, typer.Option("--cause", help="Only of this cause; can be repeated.")
]
OfOrder = Annotated[str | None, typer.Option("--of-order", help="Only those of this order.")]
By = Annotated[str | None, typer.Option("--method", help="Only those paid with this.")]
Below = Annotated[str | None, typer.Option(help="Only those of less than this, in whole coins.")]


@app.callback()
def _list(
    context: typer.Context,
    closed: Annotated[bool, typer.Option("--closed", help="What was decided, instead.")] = False,
    cause: Causes = None,
    of_order: OfOrder = None,
    method: By = None,
    below: Below = None,
    after: After = None,
    limit: Limit = 100,
    as_json: reporting.AsJson = False,
) -> None:
    if context.invoked_subcommand is None:
        _list_reviews(
            closed=closed,
            cause=cause,
            of_order=of_order,
            method=method,
            below=below,
            after=after,
            limit=limit,
            as_json=as_json,
        )


@reporting.reported
def _list_reviews(
    closed: bool,
    cause: list[str] | None,
    of_order: str | None,
    method: str | None,
    below: str | None,
    after: str | None,
    limit: int,
    as_json: bool,
) -> int:
    from actors.payments import answers

    report = reporting.Report(as_json)
    chosen = _filter(cause, of_order, method, below, closed=closed)
    with own_shop.ledger(own_shop.of_environment()) as ledger:
        found = ledger.reviews.listing(chosen=chosen, limit=limit, after=after)
        count = ledger.reviews.count()
    values = [answers.review(one).values() for one in found]
    columns: tuple[str, ...]
    columns = ("subject", "cause", "order", "likely", "amount", "coin", "block", "comment")
    if closed:
        columns = ("subject", "cause", "order", "amount", "coin", "decision", "refund_to", "note")
    rows = [pay_values.cells(one, columns) for one in values]
    title = "Decided" if closed else "Review queue"
    following = found[-1].subject if len(found) == limit else None
    report.result(
        {"reviews": values, "open": count, "next": following},
        reporting.table(title, columns, rows),
        f"{count} open" + (f"; go on with --after {following}" if following else ""),
    )
    return 0


@app.command("accept")
@reporting.reported
def accept(
    subject: Subject,
    order: Annotated[
        str | None, typer.Option(help="The order that it pays, if the entry names none.")
    ] = None,
    underpaid: Annotated[
        bool, typer.Option("--underpaid", help="Take it although it is less than the price.")
    ] = False,
    as_json: reporting.AsJson = False,
) -> int:
    """Take a transfer as the payment of an order, which is then delivered."""
    from actors.payments.chains import money
    from actors.runtime.database import now_ms

    report = reporting.Report(as_json)
    with own_shop.ledger(own_shop.of_environment()) as ledger:
        paid = ledger.reviews.accept(subject, now_ms(), order_id=order, underpaid=underpaid)
        one = ledger.orders.get(paid)
        came = sum(part.amount for part in ledger.orders.payments(paid) if part.settles)
    amounts = {
        "paid": money.text(came, one.method),
        "price": money.text(one.price, one.method),
        "symbol": one.method.ticker,
    }
    report.result(
        {"subject": subject, "decision": "accepted", "order": paid, **amounts},
        f"{subject} is the payment of order {paid}: {amounts['paid']} {one.method.symbol} of "
        f"{amounts['price']}",
    )
    return 0


@app.command("refund")
@reporting.reported
def refund(
    subject: Subject,
    to: Annotated[
        str | None,
        typer.Option(help="Address that the buyer has named. Default: the bot asks for it."),
    ] = None,
    amount: Annotated[
        str | None, typer.Option(help="In whole coins. Default: all that came in.")
    ] = None,
    note: Note = "",
    as_json: reporting.AsJson = False,
) -> int:
    """Propose a refund. It is written down and never sent: send it from your wallet yourself.

    It does not go to its sender by default, because that may be an exchange, which credits nobody:
    the bot asks the buyer for an address. Ask those yourself whom it does not reach.
    """
    from actors.payments import answers
    from actors.payments.checkout import money_of
    from actors.runtime.database import now_ms

    report = reporting.Report(as_json)
    with own_shop.ledger(own_shop.of_environment()) as ledger:
        units = money_of(ledger, subject, amount)
        found = ledger.refunds.propose(subject, now_ms(), to=to, amount=units, note=note)
    values = answers.review(found).values()
    where = f"to {found.refund_to}" if found.refund_to else "; the bot asks its buyer where to"
    report.result(
        {"review": values},
        f"proposed: {values['refund']} {pay_values.coin(values)} {where}; nothing was sent",
    )
    return 0


@app.command("dismiss")
@reporting.reported
def dismiss(subject: Subject, note: Note = "", as_json: reporting.AsJson = False) -> int:
    """Close an entry with nothing to be done; its buyer is told."""
    from actors.runtime.database import now_ms

    report = reporting.Report(as_json)
    with own_shop.ledger(own_shop.of_environment()) as ledger:
        ledger.reviews.dismiss(subject, now_ms(), note=note)
    report.result({"subject": subject, "decision": "dismissed"}, f"{subject} is closed")
    return 0


@app.command("retry")
@reporting.reported
def retry(subject: Subject, as_json: reporting.AsJson = False) -> int:
    """Have a delivery that was given up tried again."""
    from actors.runtime.database import now_ms

    report = reporting.Report(as_json)
    with own_shop.ledger(own_shop.of_environment()) as ledger:
        again = ledger.reviews.retry(subject, now_ms())
    report.result(
        {"subject": subject, "decision": "retried", "order": again},
        f"order {again} is being delivered again",
    )
    return 0


@app.command("bulk")
@reporting.reported
def bulk(
    decision: Annotated[str, typer.Argument(help="accept, refund, dismiss or retry.")],
    subjects: Annotated[
        list[str] | None, typer.Argument(help="These entries. Default: all that it fits.")
    ] = None,
    cause: Causes = None,
    of_order: OfOrder = None,
    method: By = None,
    below: Below = None,
    after: After = None,
    limit: Limit = 100,
    yes: Annotated[bool, typer.Option("--yes", help="Decide; without it, only say what.")] = False,
    note: Note = "",
    as_json: reporting.AsJson = False,
) -> int:
    """Decide about many entries: first without --yes, which says each, then with it.

    Accepted is what is certain to be an order's and enough for it, refunded what names an order,
    whose buyer is asked where to. Each is decided by itself and once, however often it is asked.
    """
    from actors.payments import answers, bulk_decisions
    from actors.payments.bulk_decisions import BulkDecision
    from actors.runtime.database import now_ms
    from actors.runtime.errors import InvalidInput

    report = reporting.Report(as_json)
    _check_word(decision, BulkDecision, "there is no such decision")
    wanted, names = BulkDecision(decision), list(subjects or ())
    if names and any((cause, of_order, method, below, after)):
        raise InvalidInput(
            "nothing was decided",
            "entries are either named, or chosen by options",
            f"For example: x0 pay review bulk {wanted} --method ton",
        )
    chosen = _filter(cause, of_order, method, below)
    with own_shop.ledger(own_shop.of_environment()) as ledger:
        if not names:
            found = bulk_decisions.proposals(ledger, wanted, chosen, limit=limit, after=after)
            if not yes:
                _propose(report, answers.bulk_proposals(wanted, found, limit).values())
                return 0
            names = [one.entry.subject for one in found]
        decided = bulk_decisions.decide(ledger, wanted, names, now_ms(), note=note)
    is_page = not subjects and len(names) == limit
    return _decided(report, answers.bulk_decisions(wanted, decided).values(), is_page=is_page)


def _propose(report: reporting.Report, values: Mapping[str, Any]) -> None:
    columns: tuple[str, ...] = ("subject", "cause", "order", "amount", "coin")
    if values["decision"] == "accept":
        columns += ("paid", "price")
    rows = [pay_values.cells(one, columns) for one in values["proposals"]]
    title = f"To {values['decision']}"
    following = f"; more with --after {values['next']}" if values["next"] else ""
    hint = f"nothing was decided: --yes does it{following}" if rows else _NOTHING
    report.result(values, reporting.table(title, columns, rows), hint)


def _decided(report: reporting.Report, values: Mapping[str, Any], *, is_page: bool) -> int:
    columns = ("subject", "result", "order", "error")
    rows = [tuple(one[name] or "" for name in columns) for one in values["decisions"]]
    count = f"{len(rows) - values['failed']} of {len(rows)} are decided"
    hint = f"{count}; there may be more: run it again" if is_page else count
    table = reporting.table(f"To {values['decision']}", columns, rows)
    report.result(values, table, hint if rows else _NOTHING)
    return exit_codes.NOT_WELL if values["failed"] else 0


def _filter(
    cause: list[str] | None,
    of_order: str | None,
    method: str | None,
    below: str | None,
    *,
    closed: bool = False,
) -> ReviewFilter:
    from actors.payments.chains.money import Method
    from actors.payments.checkout import below as bounds
    from actors.payments.ledger.orders import Cause
    from actors.payments.ledger.review_entries import ReviewFilter

    for one in cause or ():
        _check_word(one, Cause, "there is no such cause")
    if method is not None:
        _check_word(method, Method, "there is no such way to pay")
    return ReviewFilter(
        closed=closed,
        causes=[Cause(one) for one in cause or ()],
        order=of_order,
        method=None if method is None else Method(method),
        below={} if below is None else bounds(below),
    )


def _check_word(text: str, words: Iterable[str], why: str) -> None:
    from actors.runtime.errors import InvalidInput

    if text not in set(words):
        raise InvalidInput(f"{text[:40]!r} is refused", why, f"Choose from {', '.join(words)}.")
