"""The program of `bpf/mesh.bpf.c` in the kernel: loaded here, or found there by its id."""

from __future__ import annotations

import errno
import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from actors.runtime.errors import Conflict
from actors.xdp import bcc_backend, layout
from actors.xdp.contract import Backend
from actors.xdp.errors import XdpUnavailable
from actors.xdp.libbpf import introspection, maps, objects
from actors.xdp.libbpf.library import BpfError
from actors.xdp.libbpf.objects import Loaded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.xdp.libbpf.introspection import ProgramInfo

OBJECT: Final = Path(__file__).with_name("mesh.bpf.o")
_TABLES_BYTES: Final = 128 << 20  # for the values of peers and of flows each, of all CPUs
_PEERS: Final = 16_384
_FLOWS: Final = 131_072  # of each CPU: twice as many as are expected, since sets fill unevenly
_LEAST: Final = 1024  # entries
_TOO_FEW: Final = "Raise what limits the memory of this process."


@dataclass(slots=True)
class Program:
    """A program and its maps. Closing it leaves alone what is attached by a link.

    Attributes:
        fd: descriptor.
        info: what the kernel says of it.
        maps: descriptors by name.
    """

    fd: int
    info: ProgramInfo
    maps: Mapping[str, int]

    @classmethod
    def load(
        cls,
        *,
        frags: bool = True,
        reused: Program | None = None,
        backend: Backend = Backend.LIBBPF,
    ) -> Self:
        """Load it, with empty tables or with those of another.

        Args:
            frags: whether it takes packets in several buffers.
            reused: whose tables it continues.
            backend: who compiles it.

        Raises:
            XdpUnavailable: the kernel refuses it, or it cannot be compiled.
        """
        name = layout.PROGRAM if frags else layout.PROGRAM_LINEAR
        try:
            cpus = maps.possible_cpus()
            if reused is None:
                loaded = objects.load(OBJECT.read_bytes(), name, entries=table_sizes(cpus))
            else:
                kept = {key: fd for key, fd in reused.maps.items() if key in layout.SIZES}
                sizes = {key: introspection.map_info(fd).max_entries for key, fd in kept.items()}
                loaded = objects.load(OBJECT.read_bytes(), name, entries=sizes, reused=kept)
            if backend is Backend.BCC:
                loaded = _compiled_anew(loaded, name, frags=frags)
            if reused is None:
                return cls.fresh(loaded)
        except BpfError as error:
            raise _refused(error) from error
        return cls(loaded.program, introspection.program_info(loaded.program), loaded.maps)

    @classmethod
    def fresh(cls, loaded: Loaded) -> Self:
        """Of what has been loaded with empty tables, which are made ready.

        Raises:
            BpfError: the kernel refuses.
        """
        made = cls(loaded.program, introspection.program_info(loaded.program), loaded.maps)
        sets = introspection.map_info(made.maps["x0_sets"]).max_entries // maps.possible_cpus()
        hashing = layout.hashing(secrets.token_bytes(layout.HASH_KEY_BYTES), _power_of_two(sets))
        maps.update(made.maps["x0_hashing"], layout.ONLY_KEY, hashing)
        made.configure(layout.Config())
        return made

    @classmethod
    def of_id(cls, number: int) -> Self:
        """Find it in the kernel.

        Raises:
            XdpUnavailable: this process may not, or it is gone.
            Conflict: it is of another version of this project.
        """
        fd, tables = -1, {}
        try:
            fd = introspection.program_by_id(number)
            info = introspection.program_info(fd)
            for map_id in info.map_ids:
                map_fd = introspection.map_by_id(map_id)
                tables[introspection.map_info(map_fd).name] = map_fd
            found = cls(fd, info, tables)
            found.check()
        except BaseException as error:
            for opened in (fd, *tables.values()):
                if opened >= 0:
                    os.close(opened)
            if isinstance(error, BpfError):
                raise _not_readable(number, error) from error
            raise
        return found

    def check(self) -> None:
        """See that the layout of its tables is known.

        Raises:
            Conflict: it is not.
        """
        sizes = {}
        for name in layout.SIZES.keys() & self.maps.keys():
            info = introspection.map_info(self.maps[name])
            sizes[name] = (info.key_size, info.value_size)
        if sizes != layout.SIZES or self._config() is None:
            raise Conflict(
                f"program {self.info.id} cannot be read",
                "it was attached by another version of this project",
                "Detach it, which ends its counters, and attach it anew.",
            )

    @property
    def frags(self) -> bool:
        """Whether it takes packets in several buffers."""
        return self.info.name == layout.PROGRAM

    @property
    def config(self) -> layout.Config:
        """What it does."""
        found = self._config()
        assert found is not None  # noqa: S101 - it has been checked
        return found

    def _config(self) -> layout.Config | None:
        size = layout.SIZES[layout.CONFIG][1]
        content = maps.lookup(self.maps[layout.CONFIG], layout.ONLY_KEY, size)
        return layout.Config.unpack(content or b"")

    def configure(self, config: layout.Config) -> None:
        """Change what it does."""
        maps.update(self.maps[layout.CONFIG], layout.ONLY_KEY, config.pack())

    def close(self) -> None:
        """Close all descriptors."""
        for fd in (self.fd, *self.maps.values()):
            os.close(fd)


def prepare(backend: Backend) -> None:
    """Do what takes seconds, before others have to wait for it: compile, once, if that is to be.

    Raises:
        XdpUnavailable: it cannot be compiled.
    """
    if backend is Backend.BCC:
        bcc_backend.compiled()


def _compiled_anew(loaded: Loaded, name: str, *, frags: bool) -> Loaded:
    """The same program with the same tables, as bcc compiles it.

    Raises:
        XdpUnavailable: it cannot be compiled; then all is closed.
        BpfError: the kernel refuses it; the same.
    """
    try:
        code = bcc_backend.instructions(bcc_backend.compiled(), name, loaded.maps)
        program = objects.load_code(name, code, frags=frags)
    except BaseException:
        for opened in loaded.maps.values():
            os.close(opened)
        raise
    finally:
        os.close(loaded.program)
    return Loaded(program, loaded.maps)


def table_sizes(cpus: int) -> dict[str, int]:
    """Entries of the tables that have values for each CPU, so that their memory is bounded."""
    flow = layout.FLOW_TRAFFIC.itemsize + layout.GAPS_BYTES
    flows = _fitting(_FLOWS, flow * cpus) * cpus
    return {
        "x0_peers": _fitting(_PEERS, layout.PEER_TRAFFIC.itemsize * cpus),
        "x0_sets": flows // layout.WAYS,
        "x0_flows": flows,
        "x0_gaps": flows,
    }


def _fitting(wanted: int, size: int) -> int:
    while wanted > _LEAST and wanted * size > _TABLES_BYTES:
        wanted //= 2
    return wanted


def _power_of_two(most: int) -> int:
    return 1 << (most.bit_length() - 1)


def is_ours(info: ProgramInfo) -> bool:
    """Whether a program is of this project, of whatever version: by name and by a mark it holds.

    Raises:
        BpfError: its maps may not be read.
    """
    if info.name not in layout.PROGRAMS:
        return False
    for map_id in info.map_ids:
        opened = introspection.map_by_id(map_id)
        try:
            described = introspection.map_info(opened)
            if described.name == layout.CONFIG:
                content = maps.lookup(opened, layout.ONLY_KEY, described.value_size) or b""
                return content.startswith(layout.MAGIC.to_bytes(4, sys.byteorder))
        finally:
            os.close(opened)
    return False


def _refused(error: BpfError) -> XdpUnavailable:
    """Of a program that cannot be loaded."""
    last = error.said.splitlines()[-1:] or [""]
    said = f" ({last[0].strip()})" if last[0] else ""
    remedy = {
        errno.ENOMEM: _TOO_FEW,
        errno.EMFILE: "Raise the number of files that this process may open.",
        errno.EPERM: "Run this as root, or with CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN.",
    }
    return XdpUnavailable(
        f"the kernel refuses the program: {error.strerror}{said}",
        remedy.get(error.errno or 0, "Please report this with the version of the kernel."),
    )


def _not_readable(number: int, error: BpfError) -> XdpUnavailable:
    if error.errno == errno.EPERM:
        return XdpUnavailable(
            f"program {number} is held by another process, and this one lacks CAP_SYS_ADMIN",
            "Run this as root.",
            ("CAP_SYS_ADMIN",),
        )
    return XdpUnavailable(f"program {number} cannot be read: {error.strerror}", "Try again.")
