"""`x0 pay review`: what came in and settles nothing by itself, for a person to decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jobs.launch import own_shop
from jobs.terminal import reporting

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.payments.ledger.review_entries import ReviewFilter

app = typer.Typer(
    invoke_without_command=True,
    help="What came in and settles nothing by itself. Without a command: list it, first what names "
    "an order.",
)

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
    columns = ("subject", "cause", "order", "likely", "amount", "symbol", "block", "comment")
    if closed:
        columns = ("subject", "cause", "order", "amount", "decision", "refund_to", "note")
    rows = [tuple("" if one[name] is None else one[name] for name in columns) for one in values]
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
        "symbol": one.method.symbol,
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
        typer.Option(help="Address that the buyer has named. Default: the buyer is asked for it."),
    ] = None,
    amount: Annotated[
        str | None, typer.Option(help="In whole coins. Default: all that came in.")
    ] = None,
    note: Note = "",
    as_json: reporting.AsJson = False,
) -> int:
    """Propose a refund. It is written down and never sent: send it from your wallet yourself.

    It does not go to its sender by default, because that may be an exchange, which credits nobody.
    """
    from actors.payments import answers
    from actors.payments.checkout import money_of
    from actors.runtime.database import now_ms

    report = reporting.Report(as_json)
    with own_shop.ledger(own_shop.of_environment()) as ledger:
        units = money_of(ledger, subject, amount)
        found = ledger.refunds.propose(subject, now_ms(), to=to, amount=units, note=note)
    values = answers.review(found).values()
    where = f"to {found.refund_to}" if found.refund_to else "; its buyer is asked where to"
    report.result(
        {"review": values},
        f"proposed: {values['refund']} {values['symbol']} {where}; nothing was sent",
    )
    return 0


@app.command("dismiss")
@reporting.reported
def dismiss(
    subjects: Annotated[
        list[str] | None, typer.Argument(help="Names of entries; or choose them by the options.")
    ] = None,
    cause: Causes = None,
    of_order: OfOrder = None,
    method: By = None,
    below: Below = None,
    limit: Limit = 1000,
    note: Note = "",
    as_json: reporting.AsJson = False,
) -> int:
    """Close entries with nothing to be done: all of them, or none.

    Chosen by options, those whose receipt was not read yet are left out.
    """
    from actors.runtime.database import now_ms
    from actors.runtime.errors import InvalidInput

    report = reporting.Report(as_json)
    names = list(subjects or ())
    by_options = any((cause, of_order, method, below))
    if bool(names) == by_options:
        raise InvalidInput(
            "nothing was dismissed",
            "entries are either named, or chosen by --cause, --of-order, --method and --below",
            "For example: x0 pay review dismiss --cause unmatched --below 0.01",
        )
    with own_shop.ledger(own_shop.of_environment()) as ledger:
        if by_options:
            chosen = _filter(cause, of_order, method, below)
            found = ledger.reviews.listing(chosen=chosen, limit=limit)
            names = [one.subject for one in found if one.verified or one.block_ms is None]
        ledger.reviews.dismiss_all(names, now_ms(), note=note)
    words = names[0] if len(names) == 1 else f"{len(names)} entries"
    report.result(
        {"subjects": names, "decision": "dismissed"},
        f"{words} {'is' if len(names) == 1 else 'are'} closed",
    )
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
    from actors.runtime.errors import InvalidInput

    def check(text: str, words: Iterable[str]) -> None:
        if text not in set(words):
            raise InvalidInput(
                f"no entry is chosen by {text[:40]!r}",
                "there is no such word",
                f"Choose from {', '.join(words)}.",
            )

    for one in cause or ():
        check(one, Cause)
    if method is not None:
        check(method, Method)
    return ReviewFilter(
        closed=closed,
        causes=[Cause(one) for one in cause or ()],
        order=of_order,
        method=None if method is None else Method(method),
        below={} if below is None else bounds(below),
    )
