"""`x0 pay review`: what came in and settles nothing by itself, for a person to decide."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.launch import own_shop
from jobs.terminal import reporting

app = typer.Typer(
    invoke_without_command=True,
    help="What came in and settles nothing by itself. Without a command: list it.",
)

Limit = Annotated[int, typer.Option(min=1, max=1000, help="List at most so many.")]
Subject = Annotated[str, typer.Argument(help="Name of the entry, as `x0 pay review` lists it.")]
Note = Annotated[str, typer.Option(help="Why, for those who read it later.")]


@app.callback()
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
    from actors.payments import answers

    report = reporting.Report(as_json)
    with own_shop.ledger(own_shop.of_environment()) as ledger:
        found = ledger.reviews.listing(closed=closed, limit=limit)
        count = ledger.reviews.count()
    values = [answers.review(one).values() for one in found]
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


@app.command("accept")
@reporting.reported
def accept(
    subject: Subject,
    order: Annotated[
        str | None, typer.Option(help="The order that it pays, if the entry names none.")
    ] = None,
    as_json: reporting.AsJson = False,
) -> int:
    """Take a transfer as the payment of an order, which is then delivered."""
    from actors.runtime.database import now_ms

    report = reporting.Report(as_json)
    with own_shop.ledger(own_shop.of_environment()) as ledger:
        paid = ledger.reviews.accept(subject, now_ms(), order_id=order)
    report.result(
        {"subject": subject, "decision": "accepted", "order": paid},
        f"{subject} is the payment of order {paid}",
    )
    return 0


@app.command("refund")
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
    from actors.payments import answers
    from actors.payments.chains import money
    from actors.payments.checkout import transfer_method
    from actors.runtime.database import now_ms
    from actors.runtime.errors import InvalidInput

    report = reporting.Report(as_json)
    with own_shop.ledger(own_shop.of_environment()) as ledger:
        units = None
        if amount is not None:
            try:
                units = money.parse(amount, transfer_method(ledger, subject))
            except ValueError as error:
                raise InvalidInput(
                    "the refund cannot be proposed", str(error), "Give an amount such as 9.90."
                ) from None
        found = ledger.reviews.propose_refund(subject, now_ms(), to=to, amount=units, note=note)
    values = answers.review(found).values()
    report.result(
        {"review": values},
        f"proposed: {values['refund']} {values['symbol']} to {found.refund_to}; nothing was sent",
    )
    return 0


@app.command("dismiss")
@reporting.reported
def dismiss(subject: Subject, note: Note = "", as_json: reporting.AsJson = False) -> int:
    """Close an entry with nothing to be done."""
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
