"""`x0 pay refund`: what is to go back to buyers, and what did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from jobs.launch import own_shop
from jobs.pay_review import After, Limit, Subject  # noqa: TC001 - typer reads annotations
from jobs.terminal import pay_values, reporting

if TYPE_CHECKING:
    from actors.payments.ledger.review_entries import Review

_ASK: Final = (
    "the bot has asked its buyer; whom it does not reach, ask yourself, then "
    "`x0 pay refund correct SUBJECT --to ADDRESS`"
)

app = typer.Typer(
    no_args_is_help=True,
    help="What is to go back to buyers. Nothing is ever sent from here: send it from your wallet, "
    "then mark it as sent. `x0 pay review refund` proposes one.",
)


@app.command("list")
@reporting.reported
def list_refunds(
    sent: Annotated[bool, typer.Option("--sent", help="What was sent, instead.")] = False,
    limit: Limit = 100,
    after: After = None,
    as_json: reporting.AsJson = False,
) -> int:
    """List refunds that are still to be sent, the latest decision first."""
    from actors.payments import answers

    report = reporting.Report(as_json)
    with own_shop.ledger(own_shop.of_environment()) as ledger:
        found = ledger.refunds.listing(sent=sent, limit=limit, after=after)
    values = [answers.review(one).values() for one in found]
    columns: tuple[str, ...] = ("subject", "order", "refund", "coin", "refund_to", "note")
    if sent:
        columns = ("subject", "order", "refund", "coin", "refund_to", "refund_tx", "refund_sent")
    rows = [pay_values.cells(one, columns) for one in values]
    missing = sum(not one["refund_to"] for one in values)
    hint = f"{missing} without an address: {_ASK}" if missing else ""
    report.result({"refunds": values}, reporting.table("Refunds", columns, rows), hint)
    return 0


@app.command("sent")
@reporting.reported
def sent(
    subject: Subject,
    transaction: Annotated[str, typer.Argument(help="Id of the transaction that sent it.")],
    as_json: reporting.AsJson = False,
) -> int:
    """Mark a refund as sent and tell the buyer; again, to correct the id of the transaction."""
    from actors.runtime.database import now_ms

    report = reporting.Report(as_json)
    with own_shop.ledger(own_shop.of_environment()) as ledger:
        found = ledger.refunds.sent(subject, transaction, now_ms())
    return _told(report, found, f"{subject} was sent in {found.refund_tx}")


@app.command("correct")
@reporting.reported
def correct(
    subject: Subject,
    to: Annotated[str | None, typer.Option(help="Address that it should go to.")] = None,
    amount: Annotated[str | None, typer.Option(help="In whole coins.")] = None,
    as_json: reporting.AsJson = False,
) -> int:
    """Change the address or the amount of a refund that was not sent yet."""
    from actors.payments.checkout import money_of
    from actors.runtime.database import now_ms

    report = reporting.Report(as_json)
    with own_shop.ledger(own_shop.of_environment()) as ledger:
        units = money_of(ledger, subject, amount)
        found = ledger.refunds.correct(subject, now_ms(), to=to, amount=units)
    return _told(
        report, found, f"{subject} is to go to {found.refund_to or 'whom the buyer names'}"
    )


@app.command("withdraw")
@reporting.reported
def withdraw(subject: Subject, as_json: reporting.AsJson = False) -> int:
    """Take back a proposal that was not sent yet: its entry is open again."""
    from actors.runtime.database import now_ms

    report = reporting.Report(as_json)
    with own_shop.ledger(own_shop.of_environment()) as ledger:
        found = ledger.refunds.withdraw(subject, now_ms())
    if found is None:
        report.result({"review": None}, f"{subject} now counts as a payment of its order")
        return 0
    return _told(report, found, f"{subject} is open again")


def _told(report: reporting.Report, found: Review, words: str) -> int:
    from actors.payments import answers

    report.result({"review": answers.review(found).values()}, words)
    return 0
