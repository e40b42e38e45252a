"""What Prometheus is told of XDP on a host. Addresses are no labels: peers are told by rank."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.xdp.contract import Mode
from actors.xdp.layout import Action

if TYPE_CHECKING:
    from actors.runtime.metrics import Counter, Metrics
    from actors.xdp.contract import Ownership, XdpCounters

TOP_PEERS: Final = 10
_MODES: Final = (Mode.HW, Mode.DRV, Mode.SKB)


class Exported:
    """Counts on, from what the kernel has counted in all.

    Args:
        metrics: where it counts.
    """

    def __init__(self, metrics: Metrics) -> None:
        per_action = ("action", "interface")
        self._packets = metrics.counter(
            "x0tta6bl4_xdp_packets_total", "Received packets by what was done with them", per_action
        )
        self._bytes = metrics.counter(
            "x0tta6bl4_xdp_bytes_total", "Received bytes by what was done with them", per_action
        )
        self._drops = metrics.counter(
            "x0tta6bl4_xdp_drops_total", "Packets that were dropped", ("interface",)
        )
        self._new = metrics.counter(
            "x0tta6bl4_xdp_new_entries_total", "Entries made in a table", ("interface", "table")
        )
        self._evicted = metrics.counter(
            "x0tta6bl4_xdp_evicted_flows_total", "Flows that had to make room", ("interface",)
        )
        self._untabled = metrics.counter(
            "x0tta6bl4_xdp_untabled_packets_total",
            "Packets that were in no table, since too many flows were new",
            ("interface",),
        )
        self._entries = metrics.gauge(
            "x0tta6bl4_xdp_table_entries", "Entries in a table", ("interface", "table")
        )
        self._wanted = metrics.gauge(
            "x0tta6bl4_xdp_wanted",
            "Whether the program is to be attached to an interface that there is",
            ("interface",),
        )
        self._attached = metrics.gauge(
            "x0tta6bl4_xdp_attached", "Whether the program is attached", ("interface",)
        )
        self._mode = metrics.gauge(
            "x0tta6bl4_xdp_mode", "Whether the program runs in this mode", ("interface", "mode")
        )
        self._peers = metrics.gauge(
            "x0tta6bl4_xdp_top_peer_bytes",
            "Bytes of the peers that sent most, by rank",
            ("interface", "rank"),
        )
        self._enabled = metrics.gauge(
            "x0tta6bl4_xdp_enabled", "Whether this host can use XDP, and its actor owns it"
        )
        self._told: dict[tuple[str, ...], float] = {}

    def enabled(self, *, value: bool) -> None:
        """Tell whether XDP is owned on this host."""
        self._enabled.set(float(value))

    def attachment(self, interface: str, state: Ownership | None) -> None:
        """Tell where the program is; None: it is not wished there any more."""
        attached = state.attached if state is not None and state.state == "attached" else None
        wanted = state is not None and state.state != "waiting"
        self._wanted.set(float(wanted), interface=interface)
        self._attached.set(float(attached is not None), interface=interface)
        for mode in _MODES:
            runs = attached is not None and attached.mode is mode
            self._mode.set(float(runs), interface=interface, mode=mode)

    def counted(self, found: XdpCounters) -> None:
        """Tell what has been counted since the last time."""
        name, churn = found.interface, found.churn
        drops = 0
        for action, tally in found.actions.items():
            self._on(self._packets, tally.packets, action=action, interface=name)
            self._on(self._bytes, tally.bytes, action=action, interface=name)
            drops += tally.packets if Action[action.upper()].drops else 0
        self._on(self._drops, drops, interface=name)
        self._on(self._new, churn.new_peers, interface=name, table="peers")
        self._on(self._new, churn.new_flows, interface=name, table="flows")
        self._on(self._evicted, churn.evicted_flows, interface=name)
        self._on(self._untabled, churn.untabled, interface=name)
        self._entries.set(churn.peers, interface=name, table="peers")
        self._entries.set(churn.flows, interface=name, table="flows")
        for rank in range(TOP_PEERS):
            sent = found.peers[rank].bytes if rank < len(found.peers) else 0
            self._peers.set(sent, interface=name, rank=str(rank + 1))

    def _on(self, counter: Counter, total: float, **labels: str) -> None:
        """Count on to a total of the kernel, which begins anew with each loaded program."""
        key = (str(id(counter)), *labels.values())
        before = self._told.get(key, 0.0)
        self._told[key] = total
        counter.inc(total - before if total >= before else total, **labels)
