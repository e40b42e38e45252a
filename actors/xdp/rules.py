"""What the program drops: denied networks, and what a source sends beyond its rate.

Rules are in the program's tables: they hold for as long as it is attached, across a replacement and
a restart of whoever owns it, and end with it.
"""

from __future__ import annotations

import errno
import math
import struct
import sys
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING, Final

from actors.runtime.errors import Conflict, InvalidInput
from actors.xdp.contract import Rules
from actors.xdp.libbpf import maps
from actors.xdp.libbpf.library import BpfError

if TYPE_CHECKING:
    from actors.xdp.program import Program

Network = IPv4Network | IPv6Network

LEAST_PPS: Final = 0.001
MOST_PPS: Final = 1_000_000.0  # the interval is in whole ns: above, it is off by more than 0.1 %
MOST_BURST: Final = 1_000_000
SAMPLE_MOST: Final = 1 << 31
_VALUE: Final = struct.pack("=I", 1)
_TABLES: Final = {4: "x0_deny_v4", 6: "x0_deny_v6"}
_KEY_BYTES: Final = {4: 8, 6: 20}
_FIELDS: Final = {4: "deny_v4", 6: "deny_v6"}


def network(text: str) -> Network:
    """Read a network such as 192.0.2.0/24, or an address.

    Raises:
        InvalidInput: it is none.
    """
    try:
        found = ip_network(text.strip())
    except ValueError as error:
        raise InvalidInput(
            f"{text[:60]!r} cannot be denied",
            str(error),
            "Give an address, or a network such as 192.0.2.0/24 or 2001:db8::/32.",
            entry=text[:60],
        ) from None
    if found.version == 6 and found.network_address.ipv4_mapped is not None:
        raise InvalidInput(
            f"{text[:60]!r} cannot be denied",
            "no packet has an IPv4 address in IPv6's form",
            f"Give {found.network_address.ipv4_mapped}.",
            entry=text[:60],
        )
    return found


def deny(program: Program, *denied: Network) -> tuple[Network, ...]:
    """Drop what comes from networks.

    Returns:
        Those that were not denied before.

    Raises:
        Conflict: the list is full; those before are denied.
    """
    try:
        return tuple(one for one in denied if _deny(program, one))
    finally:
        _count(program)


def allow(program: Program, *denied: Network) -> tuple[Network, ...]:
    """Deny networks no more.

    Returns:
        Those that were denied.
    """
    try:
        return tuple(one for one in denied if maps.delete(_table(program, one), _key(one)))
    finally:
        _count(program)


def _deny(program: Program, denied: Network) -> bool:
    try:
        maps.update(_table(program, denied), _key(denied), _VALUE, maps.NOEXIST)
    except BpfError as error:
        if error.errno == errno.EEXIST:
            return False
        if error.errno in {errno.ENOSPC, errno.E2BIG}:
            raise Conflict(
                f"{denied} cannot be denied",
                "the list of denied networks is full",
                "Remove entries, or deny larger networks: `x0 xdp status` lists them.",
            ) from error
        raise
    return True


def limit(program: Program, pps: float | None, burst: int | None = None) -> Rules:
    """Limit what each source may send; what is beyond is dropped.

    Args:
        program: the program.
        pps: packets a second in the long run; None: no limit.
        burst: packets at once; None: those of one second, at least one.

    Raises:
        InvalidInput: a figure is out of range.
    """
    if pps is None:
        interval = ahead = 0
    else:
        _in_range("rate", pps, LEAST_PPS, MOST_PPS, "packets a second")
        most = burst if burst is not None else math.ceil(pps)
        _in_range("burst", most, 1, MOST_BURST, "packets")
        interval = round(1e9 / pps)
        ahead = interval * (most - 1)
    program.configure(replace(program.config, limit_interval_ns=interval, limit_burst_ns=ahead))
    return rules(program)


def put(program: Program, kept: Rules) -> None:
    """Have a program that has none drop what another one dropped.

    Raises:
        InvalidInput: they are no rules.
        Conflict: they are too many.
    """
    deny(program, *map(network, kept.denied))
    limit(program, kept.limit_pps, kept.limit_burst)


def sample(program: Program, every: int) -> None:
    """Have each `every`th packet of an action on a CPU sampled; 0: none.

    Raises:
        InvalidInput: it is not a power of two.
    """
    if every and (every & (every - 1) or not 0 < every <= SAMPLE_MOST):
        raise InvalidInput(
            f"one packet in {every} cannot be sampled",
            "it is no power of two, or too large",
            f"Give 0, 1, 2, 4, and so on up to {SAMPLE_MOST}.",
            entry="sample",
        )
    program.configure(replace(program.config, sample_every=every))


def rules(program: Program) -> Rules:
    """What is dropped now."""
    config = program.config
    interval = config.limit_interval_ns
    denied = sorted(
        [*_denied(program, 4), *_denied(program, 6)],
        key=lambda one: (one.version, one.network_address, one.prefixlen),
    )
    return Rules(
        denied=tuple(map(str, denied)),
        limit_pps=round(1e9 / interval, 6) if interval else None,
        limit_burst=config.limit_burst_ns // interval + 1 if interval else None,
    )


def content(program: Program) -> bytes:
    """What the tables of the rules hold: it changes with them, and is cheaper to read than they."""
    lists = [bytes(_keys(program, version)) for version in _TABLES]
    return b"".join((program.config.pack(), *lists))


def _denied(program: Program, version: int) -> list[Network]:
    kind, size = (IPv4Network if version == 4 else IPv6Network), _KEY_BYTES[version]
    keys = bytes(_keys(program, version))
    return [
        kind((keys[at + 4 : at + size], int.from_bytes(keys[at : at + 4], sys.byteorder)))
        for at in range(0, len(keys), size)
    ]


def _keys(program: Program, version: int) -> maps.Content:
    table, size = program.maps[_TABLES[version]], _KEY_BYTES[version]
    return maps.lookup_batch(table, size, len(_VALUE), 4096)[0]


def _count(program: Program) -> None:
    """Tell the program how many networks are denied: it looks into no empty list."""
    found = {_FIELDS[version]: len(_denied(program, version)) for version in _TABLES}
    program.configure(replace(program.config, **found))


def _table(program: Program, denied: Network) -> int:
    return program.maps[_TABLES[denied.version]]


def _key(denied: Network) -> bytes:
    return struct.pack("=I", denied.prefixlen) + denied.network_address.packed


def _in_range(name: str, value: float, least: float, most: float, unit: str) -> None:
    if not least <= value <= most:
        raise InvalidInput(
            f"the {name} cannot be {value:g} {unit}",
            f"it must be from {least:g} to {most:g}",
            "Give a figure in this range.",
            entry=name,
        )
