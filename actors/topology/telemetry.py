"""Names and units of the figures that a node reports about itself (`NetworkNode.telemetry`)."""

from __future__ import annotations

from typing import Final

LOAD: Final = "load"  # average number of runnable processes over one minute
MEMORY: Final = "memory"  # share in use, in [0, 1]
ROOTFS: Final = "rootfs"  # share in use, in [0, 1]
UPTIME_S: Final = "uptime_s"
RX_BYTES: Final = "rx_bytes"  # received since the start
TX_BYTES: Final = "tx_bytes"
FORWARD_BYTES: Final = "forward_bytes"
GATEWAY_TQ: Final = "gateway_tq"  # quality of the path to the gateway, in [0, 1]
AIRTIME_24: Final = "airtime_24"  # share of time that the channel of 2.4 GHz is busy, in [0, 1]
AIRTIME_5: Final = "airtime_5"  # the same of 5 GHz
CLIENTS_24: Final = "clients_24"  # clients on 2.4 GHz
CLIENTS_5: Final = "clients_5"
