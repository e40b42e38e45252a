"""Everything that was measured of a gateway, and the figures that sum it up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtests.open_loop import percentiles_ms
from loadtests.spread import Spread, finite

if TYPE_CHECKING:
    from loadtests.account import Account
    from loadtests.gateway_load import Load, Loaded
    from loadtests.gateway_starts import Starts


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that was measured.

    Attributes:
        load: what was offered.
        nodes, links, shards, pairs, min_hops: of the mesh and the messages.
        loaded: what the loads showed.
        account, altered: of all messages.
        starts: of meshes, each before a crowd.
    """

    load: Load
    nodes: int
    links: int
    shards: int
    pairs: int
    min_hops: int
    loaded: Loaded
    account: Account
    altered: int
    starts: Starts

    @property
    def carried(self) -> Spread:
        """Messages per second that were accepted in batches and delivered."""
        return Spread.of(turn.per_s for turn in self.loaded.kinds["batch"].carried)

    @property
    def shortcomings(self) -> list[str]:
        """What must not be, and is."""
        account = self.account
        counts = {
            "accepted messages lost": account.lost,
            "delivered more than once": account.duplicates,
            "altered or misdelivered": self.altered,
            "returned although nothing failed": account.returned,
            "never accepted but heard of": account.stray,
            "requests failed in the closed loop": sum(
                kind.turns.failed for kind in self.loaded.kinds.values()
            ),
            "requests failed in the open loop": self.loaded.open_loop.errors,
            "requests failed in Locust": sum(
                scenario.failures for scenario in self.loaded.scenarios.values()
            ),
            "requests went wrong at the start": self.starts.errors.total(),
        }
        return [f"{count:,} {what}" for what, count in counts.items() if count]


def values(found: Found) -> dict[str, object]:
    """Everything, for JSON."""
    loaded, account = found.loaded, found.account
    p50, p95, p99 = percentiles_ms(loaded.open_loop.all())
    single, batch, route = (loaded.kinds[name] for name in ("single", "batch", "route"))
    return {
        "single_rps": round(single.turns.per_s.median, 1),
        "single_vs_bare": round(single.turns.ratio, 3),
        "batch_rps": round(batch.turns.per_s.median, 1),
        "batch_vs_bare": round(batch.turns.ratio, 3),
        "routes_rps": round(route.turns.per_s.median, 1),
        "routes_vs_bare": round(route.turns.ratio, 3),
        "batched_msgs_per_s": round(found.carried.median, 1),
        "batched_accepted_per_s": Spread.of(c.accepted_per_s for c in batch.carried).as_dict(),
        "batched_delivered_per_s": Spread.of(c.delivered_per_s for c in batch.carried).as_dict(),
        "batch": found.load.batch,
        "single_p95_ms": round(single.turns.p95_ms()[0].median, 3),
        "batch_p95_ms": round(batch.turns.p95_ms()[0].median, 3),
        "routes_p95_ms": round(route.turns.p95_ms()[0].median, 3),
        "turns": {
            name: {
                "rps": kind.turns.per_s.as_dict(),
                "bare_rps": kind.turns.bare_per_s.as_dict(),
                "vs_bare": kind.turns.ratios.as_dict(),
                "p95_ms": kind.turns.p95_ms()[0].as_dict(),
                "bare_p95_ms": kind.turns.p95_ms()[1].as_dict(),
                "failed": kind.turns.failed,
                "cores": kind.cores.cores(),
            }
            for name, kind in loaded.kinds.items()
        },
        "open_loop": {
            "rate": round(loaded.open_rate, 1),
            "requests": len(loaded.open_loop.all()),
            "errors": loaded.open_loop.errors,
            "late_sends": loaded.open_loop.late,
            "p50_ms": finite(p50),
            "p95_ms": finite(p95),
            "p99_ms": finite(p99),
        },
        "accepted": account.accepted,
        "delivered": account.delivered,
        "lost_accepted": account.lost,
        "duplicates": account.duplicates,
        "corrupt": found.altered,
        "wrk": None
        if loaded.ceilings is None
        else {name: ceiling.as_dict() for name, ceiling in loaded.ceilings.items()},
        "locust": {name: scenario.as_dict() for name, scenario in loaded.scenarios.items()},
        "start_requests": found.starts.requests,
        "start_errors": found.starts.errors.total(),
        "start_max_loop_lag_ms": round(
            max(spread.high for spread in found.starts.lag_ms.values()), 1
        ),
        "start_together": found.starts.of_kind(gateway_first=False).values(),
        "start_gateway_first": found.starts.of_kind(gateway_first=True).values(),
        "shortcomings": found.shortcomings,
    }
