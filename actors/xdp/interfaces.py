"""The network interfaces of this process's network namespace, by netlink.

Each function opens a netlink socket of its own on an event loop of its own: pyroute2 would take the
loop of the process, and uvloop, which Ray's workers use, knows no netlink. For the same reason none
may be called by a thread whose event loop runs: call them in another thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import select
import socket
from typing import TYPE_CHECKING, Any, Final

from pyroute2 import GenericNetlinkSocket, IPRoute
from pyroute2.netlink import NLM_F_REQUEST, genlmsg
from pyroute2.netlink.exceptions import NetlinkError

from actors.xdp.contract import Interface, KernelCounters, Mode, Tally
from actors.xdp.errors import NoInterface
from actors.xdp.negotiation import Features

if TYPE_CHECKING:
    from collections.abc import Iterator

IFF_UP: Final = 1
FLAG_NOEXIST: Final = 1  # XDP_FLAGS_UPDATE_IF_NOEXIST
FLAG_REPLACE: Final = 16
MODE_FLAGS: Final = {Mode.SKB: 2, Mode.DRV: 4, Mode.HW: 8}  # XDP_FLAGS_SKB_MODE and so on
_ATTRIBUTES: Final = {
    Mode.DRV: "IFLA_XDP_DRV_PROG_ID",
    Mode.SKB: "IFLA_XDP_SKB_PROG_ID",
    Mode.HW: "IFLA_XDP_HW_PROG_ID",
}
_RTMGRP_LINK: Final = 1
_DEV_GET: Final = 1  # NETDEV_CMD_DEV_GET


class _NetdevMessage(genlmsg):  # type: ignore[misc]  # pyroute2 has no types
    prefix = "NETDEV_A_DEV_"
    nla_map = (
        ("NETDEV_A_DEV_UNSPEC", "none"),
        ("NETDEV_A_DEV_IFINDEX", "uint32"),
        ("NETDEV_A_DEV_PAD", "none"),
        ("NETDEV_A_DEV_XDP_FEATURES", "uint64"),
    )


@contextlib.contextmanager
def _opened(kind: type[Any], **options: Any) -> Iterator[Any]:  # noqa: ANN401 - pyroute2 has no types
    loop = asyncio.SelectorEventLoop()
    opened = None
    try:
        opened = kind(use_event_loop=loop, **options)
        yield opened
    finally:
        if opened is not None:
            opened.close()
        if not loop.is_closed():  # some kinds of socket close it themselves
            loop.run_until_complete(asyncio.sleep(0))  # lets the transport close
            loop.close()


def _routes() -> contextlib.AbstractContextManager[Any]:
    return _opened(IPRoute, ext_ack=True, groups=0)


def _described(link: Any) -> Interface:  # noqa: ANN401 - pyroute2 has no types
    xdp = link.get_attr("IFLA_XDP")
    found = {}
    for mode, name in _ATTRIBUTES.items():
        if xdp is not None and (number := xdp.get_attr(name)):
            found[mode] = int(number)
    return Interface(
        name=link.get_attr("IFLA_IFNAME"),
        index=link["index"],
        up=bool(link["flags"] & IFF_UP),
        mtu=link.get_attr("IFLA_MTU"),
        programs=found,
    )


def interfaces() -> tuple[Interface, ...]:
    """All interfaces, by index."""
    with _routes() as ip:
        return tuple(sorted(map(_described, ip.get_links()), key=lambda one: one.index))


def interface(name: str) -> Interface:
    """One interface.

    Raises:
        NoInterface: there is none of that name.
    """
    found = interfaces()
    for one in found:
        if one.name == name:
            return one
    raise NoInterface(name, (one.name for one in found))


def addresses() -> dict[str, tuple[str, ...]]:
    """MAC and IP addresses of all interfaces, in lower case, by the interface's name."""
    with _routes() as ip:
        links = {link["index"]: link for link in ip.get_links()}
        own = {index: [link.get_attr("IFLA_ADDRESS")] for index, link in links.items()}
        for each in ip.get_addr():
            if each["index"] in own:
                # Of a point-to-point link, IFA_ADDRESS is the other end.
                address = each.get_attr("IFA_LOCAL") or each.get_attr("IFA_ADDRESS")
                own[each["index"]].append(address)
    return {
        links[index].get_attr("IFLA_IFNAME"): tuple(one.lower() for one in found if one)
        for index, found in own.items()
    }


def kernel_counters(name: str, reason: str) -> KernelCounters:
    """What the kernel counts by itself.

    Args:
        name: of the interface.
        reason: why XDP does not count.

    Raises:
        NoInterface: there is none of that name.
    """
    with _routes() as ip:
        links = {link.get_attr("IFLA_IFNAME"): link for link in ip.get_links()}
    if name not in links:
        raise NoInterface(name, links)
    stats = links[name].get_attr("IFLA_STATS64")
    received = Tally(stats["rx_packets"], stats["rx_bytes"])
    return KernelCounters(name, received, stats["rx_dropped"], reason)


def features(ifindex: int) -> Features | None:
    """What the driver states of XDP; None: the kernel cannot tell (before Linux 6.3)."""
    try:
        with _opened(GenericNetlinkSocket) as netdev:
            netdev.bind("netdev", _NetdevMessage)
            message = _NetdevMessage()
            message["cmd"], message["version"] = _DEV_GET, 1
            message["attrs"] = [("NETDEV_A_DEV_IFINDEX", ifindex)]
            (answer,) = netdev.nlm_request(message, msg_type=netdev.prid, msg_flags=NLM_F_REQUEST)
            return Features(answer.get_attr("NETDEV_A_DEV_XDP_FEATURES") or 0)
    except (NetlinkError, OSError, KeyError, ValueError):
        return None


def netlink_attach(ifindex: int, program: int, flags: int, expected: int | None = None) -> None:
    """Attach a program by netlink, or with -1 as the program detach it.

    Raises:
        OSError: the kernel refuses; its text is that of the kernel or driver, or "".
    """
    attributes = [("IFLA_XDP_FD", program), ("IFLA_XDP_FLAGS", flags)]
    if expected is not None:
        attributes.append(("IFLA_XDP_EXPECTED_FD", expected))
    try:
        with _routes() as ip:
            ip.link("set", index=ifindex, IFLA_XDP={"attrs": attributes})
    except NetlinkError as error:
        said = str(error.extra_code or "") if hasattr(error, "extra_code") else ""
        raise OSError(error.code, said or _text(error)) from error


def _text(error: NetlinkError) -> str:
    """What the kernel added to its errno."""
    said = str(error.args[1]) if len(error.args) > 1 else ""
    return "" if said == os.strerror(error.code) else said


def refusal_text(ifindex: int, program: int, mode: Mode) -> str:
    """Why the kernel refuses to attach a program, which it tells by netlink alone.

    The attempt is repeated there, so that it clobbers nothing (NOEXIST), and undone if it succeeds.
    """
    flags = MODE_FLAGS[mode]
    try:
        netlink_attach(ifindex, program, flags | FLAG_NOEXIST)
    except OSError as error:
        return error.strerror or ""
    netlink_attach(ifindex, -1, flags)
    return ""


class LinkChanges:
    """Tells that something has changed about the interfaces, not what.

    Whoever hears it looks at the interfaces anew, so that a lost message costs nothing.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        self._socket.setblocking(False)  # noqa: FBT003 - of Python
        self._socket.bind((0, _RTMGRP_LINK))

    def fileno(self) -> int:
        """For `select` and event loops: readable once something has changed."""
        return self._socket.fileno()

    def wait(self, timeout_s: float) -> bool:
        """Wait for a change; whether there was one in this time."""
        ready, _, _ = select.select([self._socket], [], [], timeout_s)
        if ready:
            self.drain()
        return bool(ready)

    def drain(self) -> None:
        """Take what has been told."""
        while True:
            try:
                self._socket.recv(65536)
            except BlockingIOError:
                return
            except OSError as error:  # the kernel had to drop messages: a change all the same
                if error.errno != errno.ENOBUFS:
                    raise

    def close(self) -> None:
        """Hear no more."""
        self._socket.close()
