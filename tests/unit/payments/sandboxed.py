"""A shop on a sandbox that is served, for tests."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actors.payments import scan
from actors.payments.catalogue import ShopPlan
from actors.payments.chains import addresses
from actors.payments.chains.api import Api
from actors.payments.chains.money import Method, Network
from actors.payments.ledger.ledger import Ledger
from actors.payments.ledger.order_book import NewOrder
from actors.payments.ledger.orders import Delivers
from actors.payments.sandbox.app import Sandbox
from actors.payments.sandbox.client import SandboxClient
from actors.payments.sandbox.kinds import Chains, Payment, PaymentKind
from actors.payments.sandbox.server import serving
from actors.payments.shop import ShopChain
from tests.unit.payments import ledgers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from actors.payments.ledger.orders import Order
    from actors.payments.scan import ScanResult

PRICES = {Method.TRON: 9_900_000, Method.TON: 3_200_000_000, Method.TON_USDT: 9_900_000}
LICENCE = ShopPlan("licence", {"en": "Licence"}, PRICES, Delivers("licence"))
PLENTY = dict.fromkeys(Network, 1000)  # requests per second


@dataclass
class Stall:
    """The shop, and what it stands on."""

    stage: Sandbox
    client: SandboxClient
    url: str
    ledger: Ledger
    dialect: str = "/ton"

    def chain(self, network: Network, rate: float = 1000) -> ShopChain:
        """A network, as the shop uses it."""
        tron, ton = self.stage.chains.tron, self.stage.chains.ton
        if network is Network.TRON:
            return ShopChain(network, f"{self.url}/tron", None, tron.wallet, tron.usdt, rate)
        wallet = addresses.ton(ton.wallet)
        return ShopChain(
            network, self.url + self.dialect, None, wallet, ton.master, rate, test=True
        )

    def api(self, network: Network, rate: float = 1000) -> Api:
        """Its API, which asks again soon."""
        chain = self.chain(network, rate)
        return Api(network, chain.api_url, {}, chain.rate, pause_s=0.005)

    def order(self, method: Method, name: object = "one") -> Order:
        """An order, made now."""
        new = NewOrder(f"request {name}", LICENCE, method, "pull", f"buyer {name}")
        return self.ledger.orders.create(
            new, self.chain(method.network), self.stage.chains.clock.now_ms()
        )

    def pay(
        self, order: Order, kind: PaymentKind = PaymentKind.EXACT, amount: int | None = None
    ) -> list[str]:
        """Pay it in a way."""
        late_ms = order.expires_ms + 2000 if kind is PaymentKind.LATE else 0
        units = order.amount if amount is None else amount
        payment = Payment(order.method, kind, order.wallet, units, order.comment, "buyer", late_ms)
        return self.client.pay([payment])[0]

    async def scan(self, network: Network) -> ScanResult:
        """Scan once."""
        async with self.api(network) as api:
            return await scan.scan(
                self.chain(network), self.ledger, api, clock=self.stage.chains.clock.now_ms
            )

    def forward(self, time_ms: int) -> None:
        """Put the clock forward by so much."""
        clock = self.stage.chains.clock
        clock.forward_to(clock.now_ms() + time_ms)


@contextlib.contextmanager
def stall(
    directory: Path, *, solid_after_ms: int = 0, dialect: str = "/ton", seed: str = "test"
) -> Iterator[Stall]:
    """A shop with an empty ledger."""
    stage = Sandbox.of(Chains.of(seed, solid_after_ms=solid_after_ms), limits=PLENTY)
    with (
        serving(stage) as url,
        SandboxClient(url) as client,
        Ledger(ledgers.sqlite(directory / "ledger.db")) as ledger,
    ):
        yield Stall(stage, client, url, ledger, dialect)
