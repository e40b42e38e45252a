"""Real babeld on a network of namespaces: one namespace for each node, one veth pair for each link.

The comparator of the healing benchmark. Node i announces the address of `kernel_routes.address(i)`
and nothing else. A death is silent: the node's babeld gets SIGKILL, which leaves it no time to
retract a route, and within milliseconds its namespace stops IPv6 altogether (`disable_ipv6`). Its
neighbours' interfaces stay up with carrier; all they can notice is that nothing is heard any more.

Invariants: names carry this process's id, so that networks do not meet; leaving the `with` block,
also by an exception or a signal, ends every daemon and removes every namespace; should this
process be killed, the kernel ends the daemons with it and the next network removes the namespaces.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self

import numpy as np
import psutil

from actors.runtime.errors import Unavailable
from cluster.lab import kernel
from loadtests import kernel_routes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.topology.model import Topology

LinkType = Literal["wired", "wireless"]

_NAME: Final = "x0bench"


def require() -> str:
    """The version of babeld.

    Raises:
        ConfigurationError: something that such a network needs is missing.
    """
    kernel.require((("babeld", "babeld"), ("ip", "iproute2"), ("setpriv", "util-linux")))
    said = subprocess.run(["babeld", "-V"], capture_output=True, text=True, check=True)  # noqa: S607 - looked up above
    return (said.stdout + said.stderr).strip().removeprefix("babeld-")


@dataclass(slots=True)
class BabelNetwork:
    """A running network, used as a context manager.

    Args:
        topology: nodes and links; qualities are not emulated.
        hello_s: interval between Hellos; babeld counts in hundredths.
        link_type: rule by which babeld judges a link. "wireless": ETX of the Hellos heard;
            "wired": up while two of the last three Hellos were heard, which is what it chooses for
            veth by itself.
        number: number that no other network of this process has.
    """

    topology: Topology
    hello_s: float
    link_type: LinkType
    number: int
    _daemons: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _alive: NDArray[np.bool_] = field(init=False)
    _directory: Path = field(init=False)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        self._alive = np.ones(self.topology.n_nodes, bool)

    def __enter__(self) -> Self:
        _sweep()
        with ExitStack() as stack:
            self._directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="x0-")))
            stack.callback(self._remove_namespaces)
            self._lay()
            stack.callback(self._end_daemons)
            for node in range(self.topology.n_nodes):
                self._start(node)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def next_hops(self) -> NDArray[np.int32]:
        """Next hops [destination, node] in the kernels' tables; none at a node that is dead.

        Raises:
            Unavailable: a daemon has ended by itself; the error repeats its last line.
        """
        n = self.topology.n_nodes
        table = np.full((n, n), -1, np.int32)
        for node in np.flatnonzero(self._alive).tolist():
            daemon = self._daemons[node]
            if daemon.poll() is not None:
                said = self._log(node).read_text().splitlines() or ["it said nothing"]
                raise Unavailable(
                    f"babeld of node {self.topology.ids[node]} has ended",
                    said[-1],
                    "Try again; see babeld(8).",
                    retry_after_s=1.0,
                )
            table[:, node] = kernel_routes.read(daemon.pid, n)
        return table

    def kill(self, node: int) -> float:
        """Have a node die silently; the moment it fell silent, s on the monotonic clock."""
        self._alive[node] = False
        at = time.monotonic()
        self._daemons[node].kill()
        kernel.configure(self._namespace(node), "all", "disable_ipv6", 1)
        return at

    # -- setting up ------------------------------------------------------------------------------

    def _namespace(self, node: int) -> str:
        return f"{_NAME}{os.getpid()}-{self.number}-{node}"

    def _neighbours(self, node: int) -> list[int]:
        indptr, links = self.topology.out_links
        beyond = self.topology.link_target[links[indptr[node] : indptr[node + 1]]]
        return [int(neighbour) for neighbour in beyond]

    def _lay(self) -> None:
        """Make namespaces, links and addresses."""
        nodes = range(self.topology.n_nodes)
        kernel.ip(f"netns add {self._namespace(node)}" for node in nodes)
        for node in nodes:
            # Else an interface may not speak until its address is found to be unique.
            kernel.configure(self._namespace(node), "default", "accept_dad", 0)
        kernel.ip(
            f"link add {kernel_routes.device(b)} netns {self._namespace(a)} type veth"
            f" peer name {kernel_routes.device(a)} netns {self._namespace(b)}"
            for a, b in self.topology.ends.tolist()
        )
        for node in nodes:
            up = [f"link set {kernel_routes.device(near)} up" for near in self._neighbours(node)]
            own = f"addr add {kernel_routes.address(node)}/128 dev lo"
            kernel.ip(["link set lo up", own, *up], self._namespace(node))

    def _log(self, node: int) -> Path:
        return self._directory / f"{node}.log"

    def _start(self, node: int) -> None:
        # `ip netns exec` becomes babeld, so the process id is babeld's.
        command = ["setpriv", "--pdeathsig", "KILL"]
        command += ["ip", "netns", "exec", self._namespace(node), "babeld"]
        # No file of the machine's own babeld is read or written; a random id needs no state.
        command += ["-c", "/dev/null", "-I", "", "-S", str(self._directory / f"{node}.state"), "-r"]
        command += ["-h", f"{self.hello_s:g}", "-H", f"{self.hello_s:g}"]
        command += ["-C", f"default type {self.link_type}"]
        command += [kernel_routes.device(neighbour) for neighbour in self._neighbours(node)]
        with self._log(node).open("wb") as log:
            self._daemons.append(
                subprocess.Popen(  # noqa: S603 - all parts are made here
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # Ctrl-C is for this process, which ends them in order
                )
            )

    # -- clearing away ---------------------------------------------------------------------------

    def _end_daemons(self) -> None:
        for daemon in self._daemons:
            daemon.kill()
        for daemon in self._daemons:
            daemon.wait()

    def _remove_namespaces(self) -> None:
        kernel.remove(self._namespace(node) for node in range(self.topology.n_nodes))


def _sweep() -> None:
    """Remove the namespaces of processes that were killed before they could do so."""
    found = ((name, re.match(rf"{_NAME}(\d+)-", name)) for name in kernel.present())
    kernel.remove([name for name, of in found if of and not psutil.pid_exists(int(of[1]))])
