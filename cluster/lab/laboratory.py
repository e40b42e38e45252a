"""A laboratory: a namespace and a babeld for each node, a veth pair for each link.

It outlives the command that made it. It is on record in `<state>/lab.json` before anything of it
exists, and all its names carry a token of its own; so whatever was killed on the way, `down` finds
all that was made, and nothing else. Interfaces are of babeld's type `wireless`, by which it
measures loss. A link loses nothing until it is told to.

A failure of a node is silent: its babeld gets SIGKILL, which leaves it no time to retract a route,
and its namespace stops IPv6 altogether; its neighbours' interfaces keep their carrier.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import subprocess
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import psutil

from actors.runtime.errors import (
    ConfigurationError,
    Conflict,
    InvalidInput,
    NotRunning,
    Unavailable,
)
from actors.runtime.state_files import ensure_directory, exclusive_lock, write_atomic
from actors.topology.errors import UnknownNode
from cluster.lab import kernel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.topology.model import Topology

RECORD: Final = "lab.json"
LOCK: Final = "lab.lock"
MAX_NODES: Final = 200
MAX_PERCENT: Final = 100
# Unix sockets lie in it, whose paths may have 107 bytes.
_ROOT: Final = Path("/tmp")  # noqa: S108 - the directory is made new, and private
_PREFIX: Final = "x0-lab-"
_LOCK_S: Final = 60.0
_END_S: Final = 5.0
_SOCKET_S: Final = 10.0
# Of a protocol that babeld redistributes; it leads nowhere, and a learnt route is not asked for.
_DEFAULT_ROUTE: Final = "route add ::/0 dev lo proto static metric 4096"
_PROGRAMS: Final = (("babeld", "babeld"), ("ip", "iproute2"), ("nft", "nftables"))


@dataclass(frozen=True, slots=True)
class Laboratory:
    """One laboratory, as recorded.

    Attributes:
        token: in all names of it.
        hello_s: interval between Hellos of its daemons.
        nodes: ids of the nodes.
        links: indices of the two ends of each link.
        failed: indices of the nodes that are made to be silent.
        lossy: loss of links in per cent, by "A,B" of their indices; by "A>B" of what A sends.
        gateways: indices of the nodes that announce a route to the internet.
        state: directory of the record.
    """

    token: str
    hello_s: float
    nodes: tuple[str, ...]
    links: tuple[tuple[int, int], ...]
    failed: tuple[int, ...] = ()
    lossy: dict[str, int] = field(default_factory=dict)
    gateways: tuple[int, ...] = ()
    state: Path = field(default=Path(), compare=False)

    # -- its life --------------------------------------------------------------------------------

    @classmethod
    def up(cls, state: Path, topology: Topology, hello_s: float) -> Self:
        """Make one. If that fails or is interrupted, what was made is removed again.

        Raises:
            Conflict: there is one on record in `state`.
            ConfigurationError: this is not root, or a program is missing.
            InvalidInput: the topology is too large for one machine.
            Unavailable: the kernel refuses, or a babeld does not start.
        """
        if topology.n_nodes > MAX_NODES:
            raise InvalidInput(
                "the laboratory is too large",
                f"{topology.n_nodes:,} nodes are more than {MAX_NODES}",
                "Take a smaller map, or fewer nodes.",
                entry="nodes",
            )
        kernel.require(_PROGRAMS)
        ensure_directory(state)
        with exclusive_lock(state / LOCK, timeout_s=_LOCK_S):
            if (state / RECORD).exists():
                raise Conflict(
                    "a laboratory is there already",
                    f"{state / RECORD} names it",
                    "Use it, or remove it first with `x0 lab down`.",
                )
            ends = tuple((int(a), int(b)) for a, b in topology.ends.tolist())
            gateways = tuple(np.flatnonzero(topology.nodes.gateway).tolist())
            lab = cls(
                secrets.token_hex(3),
                hello_s,
                topology.ids,
                ends,
                gateways=gateways,
                state=state,
            )
            lab.save()
            try:
                lab._make()
            except BaseException:
                lab._remove()
                raise
            return lab

    @classmethod
    def load(cls, state: Path) -> Self:
        """The one on record.

        Raises:
            NotRunning: there is none.
            ConfigurationError: the record cannot be read.
        """
        path = state / RECORD
        try:
            values = json.loads(path.read_bytes())
            values["links"] = tuple((int(a), int(b)) for a, b in values["links"])
            lists = ("nodes", "failed", "gateways")
            values |= {key: tuple(values[key]) for key in lists if key in values}
            lab = cls(**values, state=state)
            if not (lab.token.isalnum() and lab.token.isascii()):  # it is in names to be removed
                raise ValueError("the token is odd")  # noqa: TRY301 - one remedy for all
        except FileNotFoundError:
            why = f"{state} (X0TTA6BL4_STATE_DIR) has none on record"
            raise NotRunning("laboratory", why=why, remedy="Make one with `x0 lab up`.") from None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ConfigurationError(
                f"{path} cannot be read",
                f"{type(error).__name__}: {error}",
                f"Remove it, and the namespaces {_PREFIX}* by `ip netns del`.",
                variable="X0TTA6BL4_STATE_DIR",
            ) from error
        return lab

    def down(self) -> None:
        """End its daemons, remove its namespaces, its directory and its record."""
        with exclusive_lock(self.state / LOCK, timeout_s=_LOCK_S):
            self._remove()

    # -- what it has -----------------------------------------------------------------------------

    @property
    def directory(self) -> Path:
        """Of the sockets, logs and states of its daemons."""
        return _ROOT / f"{_PREFIX}{self.token}"

    @property
    def source(self) -> str:
        """How an observer reads it: a source `babeld:...`."""
        entries = (f"{name}={self._file(row, 'sock')}" for row, name in enumerate(self.nodes))
        return f"babeld:{','.join(entries)}"

    def namespace(self, node: int) -> str:
        """The name of a node's namespace."""
        return f"{_PREFIX}{self.token}-{node}"

    def daemons(self) -> dict[int, psutil.Process]:
        """The living babeld of each node: those that were given a file of this laboratory."""
        found = {}
        wanted = {str(self._file(row, "state")): row for row in range(len(self.nodes))}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.name() == "babeld" and process.status() != psutil.STATUS_ZOMBIE:
                    rows = [wanted[part] for part in process.cmdline() if part in wanted]
                    found.update(dict.fromkeys(rows, process))
        return found

    def index_of(self, node: str) -> int:
        """The index of a node.

        Raises:
            UnknownNode: there is none of this id.
        """
        if node not in self.nodes:
            raise UnknownNode(node, known=self.nodes)
        return self.nodes.index(node)

    def link(self, a: str, b: str) -> tuple[int, int]:
        """The indices of the ends of a link, as it is recorded.

        Raises:
            UnknownNode: an end is no node.
            InvalidInput: no link joins them.
        """
        ends = self.index_of(a), self.index_of(b)
        for pair in ends, ends[::-1]:
            if pair in self.links:
                return pair
        raise InvalidInput(
            f"no link {a},{b}", "it is not in this laboratory", "See `x0 lab status`.", entry="link"
        )

    # -- faults ----------------------------------------------------------------------------------

    def fail(self, node: str) -> tuple[Self, float]:
        """Have a node die silently; the laboratory then, and when that was, Unix time, s."""
        row = self.index_of(node)
        with exclusive_lock(self.state / LOCK, timeout_s=_LOCK_S):
            changed = replace(self, failed=tuple(sorted({*self.failed, row})))
            changed.save()
            daemon = self.daemons().get(row)
            at = time.time()
            if daemon is not None:
                daemon.kill()
            kernel.configure(self.namespace(row), "all", "disable_ipv6", 1)
        return changed, at

    def mend(self, node: str) -> tuple[Self, float]:
        """Have a node that died come back, with a babeld that knows nothing."""
        row = self.index_of(node)
        with exclusive_lock(self.state / LOCK, timeout_s=_LOCK_S):
            at = time.time()
            kernel.configure(self.namespace(row), "all", "disable_ipv6", 0)
            kernel.ip([f"addr replace {_address(row)}/128 dev lo"], self.namespace(row))
            if row not in self.daemons():
                self._start(row)
                self._wait_for([row])
            changed = replace(self, failed=tuple(one for one in self.failed if one != row))
            changed.save()
        return changed, at

    def lose(self, a: str, b: str, percent: int, *, one_way: bool = False) -> tuple[Self, float]:
        """Have a link lose this share of its frames: 100 cuts it, 0 mends it.

        Args:
            a: one end.
            b: the other end.
            percent: the share.
            one_way: lose what `a` sends to `b` alone; the other direction loses nothing.

        Raises:
            InvalidInput: it is no percentage, or there is no such link.
        """
        if not 0 <= percent <= MAX_PERCENT:
            raise InvalidInput(
                f"a loss of {percent} % is refused",
                "it is outside 0 to 100",
                "Give per cent.",
                entry="loss",
            )
        ends = self.link(a, b)
        sender, receiver = self.index_of(a), self.index_of(b)
        key = f"{sender}>{receiver}" if one_way else f"{ends[0]},{ends[1]}"
        others = (f"{ends[0]},{ends[1]}", f"{sender}>{receiver}", f"{receiver}>{sender}")
        with exclusive_lock(self.state / LOCK, timeout_s=_LOCK_S):
            lossy = {one: loss for one, loss in self.lossy.items() if one not in others}
            changed = replace(self, lossy=lossy | ({key: percent} if percent else {}))
            changed.save()
            at = time.time()
            kernel.lose(self.namespace(receiver), _device(sender), percent)
            kernel.lose(self.namespace(sender), _device(receiver), 0 if one_way else percent)
        return changed, at

    # -- making and removing ---------------------------------------------------------------------

    def _make(self) -> None:
        rows = range(len(self.nodes))
        self.directory.mkdir(mode=0o700)
        kernel.ip(f"netns add {self.namespace(row)}" for row in rows)
        for row in rows:
            # Else an interface may not speak until its address is found to be unique.
            kernel.configure(self.namespace(row), "default", "accept_dad", 0)
        kernel.ip(
            f"link add {_device(b)} netns {self.namespace(a)} type veth"
            f" peer name {_device(a)} netns {self.namespace(b)}"
            for a, b in self.links
        )
        for row in rows:
            up = [f"link set {device} up" for device in self._devices(row)]
            own = f"addr add {_address(row)}/128 dev lo"
            route = [_DEFAULT_ROUTE] if row in self.gateways else []
            kernel.ip(["link set lo up", own, *up, *route], self.namespace(row))
        for row in rows:
            self._start(row)
        self._wait_for(rows)

    def _devices(self, row: int) -> list[str]:
        return [_device(b if a == row else a) for a, b in self.links if row in (a, b)]

    def _file(self, row: int, kind: str) -> Path:
        return self.directory / f"{row}.{kind}"

    def _start(self, row: int) -> None:
        # No file of the machine's own babeld is read or written; a random id needs no state.
        command = ["ip", "netns", "exec", self.namespace(row), "babeld"]
        command += ["-c", "/dev/null", "-I", "", "-S", str(self._file(row, "state")), "-r"]
        command += ["-h", f"{self.hello_s:g}", "-H", f"{self.hello_s:g}"]
        command += ["-g", str(self._file(row, "sock")), "-C", "default type wireless"]
        if row in self.gateways:
            command += ["-C", "redistribute ip ::/0 le 0 allow"]
        command += self._devices(row)
        self._file(row, "sock").unlink(missing_ok=True)
        with self._file(row, "log").open("ab") as log:
            subprocess.Popen(  # noqa: S603 - all parts are made here
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def _wait_for(self, rows: Iterable[int]) -> None:
        """Wait until daemons listen.

        Raises:
            Unavailable: one does not; the error repeats its last line.
        """
        deadline = time.monotonic() + _SOCKET_S
        for row in rows:
            while not self._file(row, "sock").exists():
                if time.monotonic() > deadline:
                    said = self._file(row, "log").read_text().splitlines() or ["it says nothing"]
                    raise Unavailable(
                        f"babeld of node {self.nodes[row]} does not start",
                        said[-1],
                        "See babeld(8), and try again.",
                        retry_after_s=1.0,
                    )
                time.sleep(0.02)

    def _remove(self) -> None:
        daemons = list(self.daemons().values())
        for daemon in daemons:
            with contextlib.suppress(psutil.NoSuchProcess):
                daemon.kill()
        psutil.wait_procs(daemons, timeout=_END_S)
        kernel.remove(self.namespace(row) for row in range(len(self.nodes)))
        shutil.rmtree(self.directory, ignore_errors=True)
        (self.state / RECORD).unlink(missing_ok=True)

    def save(self) -> None:
        """Write the record."""
        values = asdict(self)
        del values["state"]
        write_atomic(self.state / RECORD, json.dumps(values).encode(), private=True)


def _device(neighbour: int) -> str:
    """The interface of a node that leads to this neighbour; by its name, it is radio."""
    return f"mesh{neighbour}"


def _address(node: int) -> str:
    """The address that a node announces."""
    return f"fd78:3074::{node + 1:x}"
