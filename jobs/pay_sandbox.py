"""`x0 pay sandbox`: chains to try payments on, and what moves them."""

from __future__ import annotations

import contextlib
import secrets
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.launch import interruption, own_shop
from jobs.terminal import reporting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from actors.payments.sandbox.client import SandboxClient
    from actors.payments.shop import Shop

app = typer.Typer(
    invoke_without_command=True,
    help="Serve TRON and TON on loopback, to try payments on. Without a command: until Ctrl-C.",
)

Faults = Annotated[
    list[str] | None,
    typer.Option(
        "--fault",
        metavar="FAULT=SHARE|FAULT=xN",
        help="Spoil answers, such as 429=0.1 or reset=x3; can be repeated.",
    ),
]
SlowS = Annotated[
    float, typer.Option("--slow", metavar="S", help="Seconds that a slow answer takes.")
]


@app.callback()
def _serve(
    context: typer.Context,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="On loopback. Default: a free one.")
    ] = 0,
    directory: Annotated[
        Path | None,
        typer.Option(
            "--dir",
            help="Keep this shop's ledger and catalogue here. "
            "Default: a temporary directory, removed at the end.",
        ),
    ] = None,
    dialect: Annotated[str, typer.Option(help="Of the TON API: tonapi or toncenter.")] = "tonapi",
    solid_after: Annotated[
        float,
        typer.Option(
            min=0, max=3600, metavar="S", help="Until a block of TRON is solid; about 57 out there."
        ),
    ] = 0.0,
    fault: Faults = None,
    slow: SlowS = 1.0,
    as_json: reporting.AsJson = False,
) -> None:
    if context.invoked_subcommand is None:
        _serve_on(
            port=port,
            directory=directory,
            dialect=dialect,
            solid_after=solid_after,
            fault=fault,
            slow=slow,
            as_json=as_json,
        )


@reporting.reported
def _serve_on(
    port: int,
    directory: Path | None,
    dialect: str,
    solid_after: float,
    fault: list[str] | None,
    slow: float,
    as_json: bool,
) -> int:
    from actors.payments.chains.money import Network
    from actors.payments.sandbox import demo_shop, faults
    from actors.payments.sandbox.app import Sandbox
    from actors.payments.sandbox.kinds import Chains
    from actors.payments.sandbox.server import serving
    from actors.runtime.errors import InvalidInput
    from serve_apps.settings import Settings

    report = reporting.Report(as_json)
    if dialect not in demo_shop.DIALECTS:
        raise InvalidInput(
            f"no dialect {dialect[:40]!r}",
            "the sandbox speaks a few",
            f"Choose from {', '.join(demo_shop.DIALECTS)}.",
        )
    plan = faults.parse(fault or (), slow_s=slow)
    # New addresses each time: a ledger that is kept would miss the history of the old ones.
    chains = Chains.of(secrets.token_hex(16), solid_after_ms=int(solid_after * 1000))
    sandbox = Sandbox.of(chains, seed=Settings.load().seed, plans=dict.fromkeys(Network, plan))
    with _directory(directory) as place, serving(sandbox, port=port) as url:
        values = demo_shop.environment(place, url, sandbox.state(), dialect=dialect)
        path = demo_shop.furnish(place, values)
        with interruption.meant(report.note):
            report.result(
                {"url": url, "environment": values, "file": str(path)},
                reporting.pairs(f"Sandbox at {url}", values),
                f"\nIn another terminal:\n"
                f"  source {path}\n"
                f"  x0 pay order licence --method tron\n"
                f"  x0 pay sandbox pay ORDER\n"
                f"  x0 pay scan --network tron --once\n"
                f"  x0 pay orders ORDER",
            )
            report.note("Ctrl-C ends it")
            threading.Event().wait()
    return 0


@contextlib.contextmanager
def _directory(given: Path | None) -> Iterator[Path]:
    if given is not None:
        yield given.expanduser().absolute()
        return
    with tempfile.TemporaryDirectory(prefix="x0-sandbox-") as made:
        yield Path(made)


@app.command("pay")
@reporting.reported
def pay(
    order: Annotated[str, typer.Argument(help="Id of the order, as in `x0 pay orders`.")],
    kind: Annotated[str, typer.Option(help="How; `x0 pay sandbox kinds` lists all.")] = "exact",
    amount: Annotated[
        str | None,
        typer.Option(help="In whole coins, in place of what the order asks for."),
    ] = None,
    sender: Annotated[
        str, typer.Option(help="Name of the account that pays; a name is always the same one.")
    ] = "buyer",
    as_json: reporting.AsJson = False,
) -> int:
    """Pay an order, rightly or in some wrong way."""
    from actors.payments.chains import money
    from actors.payments.sandbox import kinds
    from actors.payments.sandbox.client import SandboxClient
    from actors.runtime.errors import InvalidInput

    report = reporting.Report(as_json)
    if kind not in set(kinds.PaymentKind):
        raise InvalidInput(
            f"no kind of payment {kind[:40]!r}",
            "there are a few",
            f"Choose from {', '.join(kinds.PaymentKind)}.",
        )
    chosen = kinds.PaymentKind(kind)
    here = _shop()
    with own_shop.ledger(here) as ledger:
        found = ledger.orders.get(order)
    kinds.check(chosen, found.method)
    try:
        asked = found.amount if amount is None else money.parse(amount, found.method)
    except ValueError as error:
        raise InvalidInput(
            "nothing can be paid", str(error), "Give an amount such as 9.90."
        ) from None
    # The time of a block of TON is in whole seconds.
    late_ms = found.expires_ms + 2000 if chosen is kinds.PaymentKind.LATE else 0
    payment = kinds.Payment(
        found.method, chosen, found.wallet, asked, found.comment, sender, late_ms
    )
    with SandboxClient(here.chain(found.method.network).api_url) as client:
        made = client.pay([payment])[0]
    sent = money.text(kinds.amount(chosen, asked), found.method)
    values = {
        "order": found.id,
        "kind": kind,
        "method": str(found.method),
        "amount": sent,
        "symbol": found.method.ticker,
        "transactions": made,
    }
    report.result(
        values,
        f"{sent} {found.method.symbol} on {found.method.network}: {kinds.MEANING[chosen]}",
        *(f"  transaction {tx_id}" for tx_id in made),
    )
    if chosen is kinds.PaymentKind.LATE:
        report.note("the chains' clock is ahead now: what is ordered from now on is paid late too")
    return 0


@app.command("kinds")
@reporting.reported
def list_kinds(as_json: reporting.AsJson = False) -> int:
    """List the ways to pay an order, right and wrong."""
    from actors.payments.sandbox import kinds

    rows = [
        {"kind": str(one), "methods": sorted(kinds.APPLIES[one]), "means": kinds.MEANING[one]}
        for one in kinds.PaymentKind
    ]
    shown = [(row["kind"], ", ".join(row["methods"]), row["means"]) for row in rows]
    table = reporting.table("Ways to pay", ("kind", "methods", "means"), shown)
    reporting.Report(as_json).result({"kinds": rows}, table)
    return 0


@app.command("confirm")
@reporting.reported
def confirm(
    transaction: Annotated[str | None, typer.Argument(help="Only this one; default: all.")] = None,
    as_json: reporting.AsJson = False,
) -> int:
    """Get unconfirmed transactions into a solid block."""
    with _sandbox() as client:
        done = client.confirm(transaction)
    reporting.Report(as_json).result(
        {"transactions": done},
        *(f"confirmed {tx_id}" for tx_id in done),
        *([] if done else ["nothing was unconfirmed"]),
    )
    return 0


@app.command("fault")
@reporting.reported
def fault(
    faults: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FAULT=SHARE|FAULT=xN]...",
            help="A share of all requests, or the next N: reset, cut, truncated, 403, 429, 5xx, "
            "slow, reordered, unfiltered, odd, unmarked, newest. None: the APIs are sound again.",
        ),
    ] = None,
    network: Annotated[str | None, typer.Option(help="tron or ton. Default: both.")] = None,
    slow: SlowS = 1.0,
    as_json: reporting.AsJson = False,
) -> int:
    """Spoil the answers of the APIs from now on: `5xx=1` is an outage."""
    from actors.payments.chains.money import Network
    from actors.payments.sandbox.faults import parse
    from actors.runtime.errors import InvalidInput

    plan = parse(faults or (), slow_s=slow)
    if network is not None and network not in set(Network):
        raise InvalidInput(
            f"no network {network[:40]!r}",
            "the sandbox has two",
            f"Choose from {', '.join(Network)}.",
        )
    chosen = list(Network) if network is None else [Network(network)]
    with _sandbox() as client:
        for one in chosen:
            client.spoil(one, plan)
        state = client.state()
    _show(state, as_json=as_json)
    return 0


@app.command("status")
@reporting.reported
def status(as_json: reporting.AsJson = False) -> int:
    """Show the sandbox: transactions, requests, faults, and its clock."""
    with _sandbox() as client:
        state = client.state()
    _show(state, as_json=as_json)
    return 0


def _show(state: Mapping[str, Any], *, as_json: bool) -> None:
    networks = ("tron", "ton")
    columns = ("network", "transactions", "requests", "busiest_second", "limit", "over_limit")
    rows = [(one, *(state[one][name] for name in columns[1:])) for one in networks]
    faults = {f"faults on {one}": _faults(state[one]) for one in networks}
    ahead = f"{state['ahead_ms'] / 60_000:.0f} min" if state["ahead_ms"] else "no"
    reporting.Report(as_json).result(
        state,
        reporting.table("Sandbox", columns, rows),
        reporting.pairs("", {**faults, "clock ahead": ahead}),
    )


def _faults(api: Mapping[str, Any]) -> str:
    shares = [f"{fault}={share:g}" for fault, share in api["faults"].items()]
    coming = [f"{fault}=x{count}" for fault, count in api["next_faults"].items()]
    return ", ".join(shares + coming) or "none"


def _shop() -> Shop:
    """The shop of the environment, which a sandbox must have given.

    Raises:
        InvalidInput: none has: a wallet of one's own would be the wrong way out.
    """
    from actors.runtime.errors import InvalidInput

    here = own_shop.of_environment()
    if not here.on:
        raise InvalidInput(
            "no sandbox is known here",
            "the environment is not that of one",
            "Start `x0 pay sandbox`, and source the file that it names.",
        )
    return here


@contextlib.contextmanager
def _sandbox() -> Iterator[SandboxClient]:
    """The sandbox that the environment points at."""
    from actors.payments.sandbox.client import SandboxClient

    here = _shop()
    with SandboxClient(next(iter(here.chains.values())).api_url) as client:
        yield client


if __name__ == "__main__":
    app()
