"""What the word for the kind of a link says; sources write `vpn-fastd`, `l2tp`, `wifi5`, `tunnel`.

So prefixes decide. Nodes decide as well: all that leads to a VPN server is a tunnel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from actors.topology.network import NetworkNode

VPN: Final = "vpn"  # every tunnel has this kind in a topology
_TUNNELS: Final = (
    "vpn", "l2tp", "tunnel", "tunneldigger", "fastd", "wg", "wireguard", "openvpn", "tinc", "gre",
    "vxlan", "zerotier", "ipsec", "ipip", "sit", "ppp", "tun", "tap", "mesh-vpn", "mesh_vpn",
    "meshvpn", "bat-vpn",
)  # fmt: skip
_RADIO: Final = ("wifi", "wireless", "wlan", "radio", "802.11", "11s", "ibss", "adhoc")
_SERVERS: Final = (
    "vpn", "server", "supernode", "gateway", "virtual", "kvm", "qemu", "vmware", "hyper-v", "xen",
    "proxmox", "bochs", "droplet", "cloud",
)  # fmt: skip
_SERVER_ROLES: Final = ("gateway", "gate", "supernode", "vpn", "server", "backbone")


def is_tunnel(kind: str) -> bool:
    """Whether links of this kind run through the internet."""
    return kind.casefold().startswith(_TUNNELS)


def is_radio(kind: str) -> bool:
    """Whether links of this kind are radio links."""
    return kind.casefold().startswith(_RADIO)


def is_vpn_server(node: NetworkNode) -> bool:
    """Whether only tunnels lead to a node: it says `vpn`, and its model or role is a server's.

    `vpn` alone does not decide: routers with an uplink of their own say it too, and have radios.
    """
    if not node.vpn:
        return False
    model = node.model.casefold()
    return any(word in model for word in _SERVERS) or node.role.casefold() in _SERVER_ROLES
