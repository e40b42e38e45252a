"""The demonstration: a shop on the sandbox, from the first order to the last decision.

Buyers pay rightly and wrongly over APIs with faults; the process that scans is killed and started
again; a long outage passes; payments come late; a person decides about the review queue. Each act
ends with checks, and at the end each order must be as `demo_cases` says. Nothing outside the given
directory is touched, and the shop's own settings play no case.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
from collections import Counter
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr

from actors.payments import catalogue, scan, tokens
from actors.payments.chains import addresses
from actors.payments.chains.api import Api
from actors.payments.chains.money import Network
from actors.payments.checkout import Checkout
from actors.payments.delivery import Delivery, open_key
from actors.payments.errors import ChainUnavailable
from actors.payments.ledger.ledger import Ledger
from actors.payments.ledger.orders import SETTLED, Cause, OrderState
from actors.payments.ledger.sightings import RETRY_MS
from actors.payments.outbox_relay import OutboxRelay, Pull
from actors.payments.sandbox import demo_cases, demo_shop
from actors.payments.sandbox.app import Sandbox
from actors.payments.sandbox.demo_report import Check, DemoReport, Ending
from actors.payments.sandbox.faults import Fault, FaultPlan
from actors.payments.sandbox.kinds import Chains, Payment, PaymentKind
from actors.payments.shop import CATALOGUE, DATABASE, Shop, ShopChain
from actors.runtime import flags
from actors.runtime.settings import variable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from actors.payments.ledger.orders import Order
    from actors.payments.ledger.review_entries import Review
    from actors.payments.sandbox.client import SandboxClient
    from actors.payments.sandbox.demo_cases import DemoCase
    from actors.payments.scan import ScanResult

LIMIT: Final = 250  # requests per second that the APIs take here; the real ones take 10 to 15
RATE: Final = 200.0  # requests per second that the shop sends
PAUSE_S: Final = 0.02  # the first pause after a fault
VICTIM_RATE: Final = 8.0  # of the process that is killed, so that it is in the middle for a while
VICTIM_S: Final = 30.0  # in which it must have got there
PUBLIC_URL: Final = "https://shop.example"  # nobody is asked there
FILE: Final = "month.txt"
CONTENT: Final = "what was bought\n"
PLANS: Final = f"""\
{demo_shop.PLANS}\
  - id: {demo_cases.DOWNLOAD}
    title: {{en: One month, ru: Один месяц}}
    price: {{tron: "30", ton: "10", ton-usdt: "30"}}
    delivers: {{download: {FILE}}}
"""
WEATHER: Final = {
    Fault.RESET: 0.03,
    Fault.CUT: 0.02,
    Fault.TRUNCATED: 0.03,
    Fault.BROKEN: 0.04,
    Fault.SLOW: 0.05,
    Fault.REORDERED: 0.15,
    Fault.UNFILTERED: 0.15,
}
_MINUTE_MS: Final = 60_000


def sandbox() -> Sandbox:
    """The sandbox for the demonstration."""
    chains = Chains.of(secrets.token_hex(16))
    return Sandbox.of(chains, limits=dict.fromkeys(Network, LIMIT))


class Demo:
    """The demonstration.

    Args:
        directory: an empty directory for the shop.
        stage: the sandbox, which is served.
        client: asks it.
        url: URL of the sandbox.
        scan_command: scans TRON once, in the environment that it is given.
        tell: called with each line about the progress.
    """

    def __init__(
        self,
        directory: Path,
        stage: Sandbox,
        client: SandboxClient,
        url: str,
        *,
        scan_command: Sequence[str],
        tell: Callable[[str], None],
    ) -> None:
        self._client = client
        self._clock = stage.chains.clock.now_ms
        self._forward_to = stage.chains.clock.forward_to
        self._command = scan_command
        self._tell = tell
        self._report = DemoReport()
        self._made: list[tuple[DemoCase, Order]] = []
        self._payers: dict[str, str] = {}  # order by transaction
        self._causes: dict[str, tuple[Cause, ...]] = {}  # of reviews, by order
        self._environment = demo_shop.environment(directory, url, client.state())
        demo_shop.furnish(directory, self._environment)
        (directory / CATALOGUE).write_text(PLANS, encoding="utf-8")
        (directory / FILE).write_text(CONTENT, encoding="utf-8")
        self._shop = _shop(directory, url, stage.chains)
        self._checkout = Checkout(self._shop, catalogue.load(self._shop.catalogue), self._clock)
        self._ledger = Ledger(self._shop.database_url)
        self._key = open_key(directory, self._ledger)

    async def run(self) -> DemoReport:
        """Run it from the beginning to the end; what happened."""
        try:
            await self._open()
            await self._pay_and_restart()
            await self._outage()
            await self._late()
            self._decide()
            await self._end()
        finally:
            self._ledger.close()
        return self._report

    async def _open(self) -> None:
        self._tell("The shop opens: a scan of TON finds its own jetton wallet")
        await self._scan(Network.TON)
        for network in Network:
            self._client.spoil(network, FaultPlan(WEATHER, slow_s=0.05))
        spoilt = sum(WEATHER.values())
        self._tell(f"From now on the APIs spoil {spoilt:.0%} of their answers")

    async def _pay_and_restart(self) -> None:
        self._open_and_pay(demo_cases.MAIN)
        killed = await asyncio.to_thread(self._kill_a_scan)
        self._check("orders paid when the scan was killed", "some, not all", killed)
        self._tell("The ledger is opened again, and the scans go on where they were")
        self._ledger.close()
        self._ledger = Ledger(self._shop.database_url)
        await self._scan_all()
        held = [order for case, order in self._made if case.kind is PaymentKind.UNCONFIRMED]
        states = {self._ledger.orders.get(order.id).state for order in held}
        self._check("an unconfirmed payment is seen and not credited", {OrderState.SEEN}, states)
        self._client.confirm()
        self._forward_to(self._clock() + RETRY_MS)
        self._tell("Its transaction gets into another block, which is solid")
        await self._scan_all()
        states = {self._ledger.orders.get(order.id).state for order in held}
        self._check("the same payment once it is confirmed", {OrderState.DELIVERED}, states)

    def _kill_a_scan(self) -> str:
        """Kill a scan of TRON in its middle; how far it was."""
        outside = {name: text for name, text in os.environ.items() if not _is_ours(name)}
        rate, public = variable("tron_rate"), variable("public_url")
        inside = {**self._environment, rate: str(VICTIM_RATE), public: PUBLIC_URL}
        process = subprocess.Popen(  # noqa: S603 - the project's own command
            [*self._command],
            env=outside | inside,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            deadline = self._clock() + VICTIM_S * 1000
            while process.poll() is None and self._clock() < deadline and not self._settled():
                try:
                    process.wait(0.02)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            process.kill()
            process.wait()
        settled = self._settled()
        due = sum(
            case.method.network is Network.TRON
            and case.state is OrderState.DELIVERED
            and case.kind is not PaymentKind.UNCONFIRMED
            for case in demo_cases.MAIN
        )
        self._tell(f"A process scanned TRON and was killed after {settled} of {due} payments")
        return "some, not all" if 0 < settled < due else f"{settled} of {due}"

    def _settled(self) -> int:
        return len(self._ledger.orders.listing(states=SETTLED, limit=1000))

    async def _outage(self) -> None:
        made = self._open_and_pay(demo_cases.DURING_AN_OUTAGE)
        for network in Network:
            self._client.spoil(network, FaultPlan({Fault.BROKEN: 1.0}))
        last = max(order.expires_ms for order in made)
        self._forward_to(last + 5 * _MINUTE_MS)
        self._tell("An outage: every answer is an error until the time to pay is over")
        failed = 0
        for network in Network:
            try:
                await self._scan(network)
            except ChainUnavailable:
                failed += 1
        self._check("scans that fail in the outage", len(Network), failed)
        states = {self._ledger.orders.get(order.id).state for order in made}
        self._check("orders paid just before it are still open", {OrderState.NEW}, states)
        for network in Network:
            self._client.spoil(network, FaultPlan(WEATHER, slow_s=0.05))
        self._tell("The outage is over; what was paid in time counts, what was not paid expires")
        await self._scan_all()

    async def _late(self) -> None:
        self._tell("Some pay after their time")
        self._open_and_pay(demo_cases.LATE)
        await self._scan_all()

    def _decide(self) -> None:
        queue = self._ledger.reviews.listing()
        causes = Counter(one.cause for one in queue)
        shown = ", ".join(f"{count} {cause}" for cause, count in sorted(causes.items()))
        self._tell(f"The review queue: {shown}")
        cases = [case for case, _ in self._made]
        expected = Counter(cause for case in cases for cause in case.causes)
        self._check("review queue", dict(expected), dict(causes))
        self._check("entries without a receipt", 0, sum(not one.verified for one in queue))
        self._causes = _causes(queue, self._payers)
        accepted = {order.id for case, order in self._made if case in demo_cases.LATE[:1]}
        done: Counter[str] = Counter()
        for one in queue:
            if one.order in accepted:
                self._ledger.reviews.accept(one.subject, self._clock())
                done["accepted"] += 1
            elif one.cause in {Cause.LATE, Cause.DUPLICATE}:
                self._ledger.refunds.propose(one.subject, self._clock())
                done["refunds proposed"] += 1
            else:
                self._ledger.reviews.dismiss(one.subject, self._clock(), note="demonstration")
                done["dismissed"] += 1
        shown = ", ".join(f"{count} {what}" for what, count in done.items())
        self._tell(f"A person decides: {shown}; nothing is sent from here")
        self._check("open entries after that", 0, self._ledger.reviews.count())

    async def _end(self) -> None:
        for network in Network:
            self._client.spoil(network, FaultPlan())
        again = await self._scan_all()
        changed = sum(one.settled + one.review + one.expired for one in again)
        self._check("changes by scanning everything again", 0, changed)
        for case, order in self._made:
            last = self._ledger.orders.get(order.id)
            self._report.endings.append(Ending(case, last, self._causes.get(order.id, ())))
        self._check_goods()
        self._check_books()
        state = self._client.state()
        for network in Network:
            api = state[str(network)]
            self._report.requests[str(network)] = api["requests"]
            self._check(f"requests over the limit of {network}", 0, api["over_limit"])

    def _check_goods(self) -> None:
        delivery = Delivery(self._shop, self._ledger, self._key)
        ended = self._report.endings
        delivered = [one.order for one in ended if one.case.state is OrderState.DELIVERED]
        right = 0
        for order in delivered:
            goods = delivery.of(order)
            if goods is None:
                continue
            if goods.kind == "licence":
                right += tokens.licensed(self._key, goods.value) == order.id
            else:
                path = delivery.open(goods.value.rpartition("/")[2], self._clock())
                right += path.read_text(encoding="utf-8") == CONTENT
        self._check("licences that are genuine and downloads that open", len(delivered), right)
        unpaid = [one.order for one in ended if one.order.state not in SETTLED]
        given = sum(delivery.of(order) is not None for order in unpaid)
        self._check("goods of orders that are not paid", 0, given)

    def _check_books(self) -> None:
        takings = self._ledger.report().takings.values()
        paid = sum(one.order.state in SETTLED for one in self._report.endings)
        self._check("payments that settle an order", paid, sum(one.settled for one in takings))
        # The one that a person accepted is in no review any more.
        transfers = [
            cause
            for one in self._report.endings
            for cause in one.case.causes
            if cause not in {Cause.OVERPAID, Cause.WRONG_ASSET}  # nothing that was counted
        ]
        causes = len(transfers) - 1
        self._check("payments that settle none", causes, sum(one.review for one in takings))
        unsent = self._ledger.report().unsent
        self._check("messages that are still owed", 0, unsent)

    def _open_and_pay(self, cases: Iterable[DemoCase]) -> list[Order]:
        """Open an order for each case, and pay it as the case says."""
        made = [(case, self._order(case, number)) for number, case in enumerate(cases)]
        paid = [(case, order) for case, order in made if case.kind is not None]
        payments = [
            Payment(
                order.method,
                case.kind or PaymentKind.EXACT,
                order.wallet,
                order.amount,
                order.comment,
                f"buyer {order.id}",
                order.expires_ms + 2000 if case.kind is PaymentKind.LATE else 0,
            )
            for case, order in paid
        ]
        for (_, order), ids in zip(paid, self._client.pay(payments), strict=True):
            self._payers.update(dict.fromkeys(ids, order.id))
        self._made += made
        kinds = ", ".join(dict.fromkeys(str(case.kind) for case, _ in paid))
        self._tell(f"{len(made)} orders, {len(paid)} payments: {kinds}")
        return [order for _, order in made]

    def _order(self, case: DemoCase, number: int) -> Order:
        return self._checkout.order(
            self._ledger,
            case.plan,
            case.method,
            request=secrets.token_hex(12),
            channel="pull",
            recipient=f"{case.method} {case.kind} {number}",
        )

    async def _scan_all(self) -> list[ScanResult]:
        return [await self._scan(network) for network in Network]

    async def _scan(self, network: Network) -> ScanResult:
        """Scan a network, and carry what is due, as a watcher does at each poll."""
        chain = self._shop.chain(network)
        async with Api(network, chain.api_url, {}, chain.rate, pause_s=PAUSE_S) as api:
            result = await scan.scan(chain, self._ledger, api, clock=self._clock)
        delivery = Delivery(self._shop, self._ledger, self._key)
        arrived = await OutboxRelay(self._ledger, delivery, Pull(), self._clock).round()
        rejected = ", ".join(f"{count} {why}" for why, count in sorted(result.rejected.items()))
        self._tell(
            f"  {network}: {result.requests} requests, {result.settled} orders paid, "
            f"{result.expired} expired, {arrived} messages carried"
            + (f"; refused: {rejected}" if rejected else "")
        )
        return result

    def _check(self, what: str, expected: object, happened: object) -> None:
        check = Check(what, expected, happened)
        self._report.checks.append(check)
        if not check.ok:
            self._tell(f"  NOT AS IT SHOULD BE: {what}: {happened}, not {expected}")


def _shop(directory: Path, url: str, chains: Chains) -> Shop:
    tron = ShopChain(Network.TRON, f"{url}/tron", None, chains.tron.wallet, chains.tron.usdt, RATE)
    wallet = addresses.ton(chains.ton.wallet)
    ton = ShopChain(Network.TON, f"{url}/ton", None, wallet, chains.ton.master, RATE, test=True)
    return Shop(
        chains={Network.TRON: tron, Network.TON: ton},
        database_url=SecretStr(f"sqlite:///{directory / DATABASE}"),
        catalogue=directory / CATALOGUE,
        public_url=PUBLIC_URL,
        state_dir=directory,
    )


def _is_ours(name: str) -> bool:
    return name.upper().startswith(flags.PREFIX)


def _causes(queue: Iterable[Review], payers: dict[str, str]) -> dict[str, tuple[Cause, ...]]:
    """For which causes transfers are in the queue, by the order that they were made for."""
    found: dict[str, list[Cause]] = {}
    for one in queue:
        named = one.subject.split(":")[1]  # a transaction, or an order
        is_counted = one.cause not in {Cause.OVERPAID, Cause.WRONG_ASSET}
        order = payers.get(named) if is_counted else one.order
        found.setdefault(order or "", []).append(one.cause)
    return {order: tuple(sorted(causes)) for order, causes in found.items()}
