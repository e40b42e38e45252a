"""What signed beacons and sealed envelopes cost: a mesh with PQC_BEACONS and without, in turns.

Beside it the parts: 200 nodes' beacons each second between two hosts, and each operation with keys.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import numpy as np
import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actors.identity import keys
from actors.identity.handshake import Initiator, OfferMemory, Party, Responder
from actors.identity.pqc_watch import PqcWatch
from actors.identity.signed_beacons import BeaconOptions, SignedBeacons
from actors.runtime.flags import Flags
from actors.runtime.metrics import MemoryMetrics
from actors.topology.model import Topology
from loadtests import mesh_at_rest, private_cluster
from loadtests.benchmark import Findings, Progress, Table, benchmark, defect, named
from loadtests.spread import Spread, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


NODES: Final = 200
SEED: Final = 1
ROUNDS: Final = 2
SECONDS: Final = 20.0
MOST_CORES: Final = 0.15
TURNS: Final = 60  # Hello intervals that the parts are measured over
OPERATION_S: Final = 0.5  # that each operation is repeated for
_METHOD: Final = """\
A made-up radio mesh (`radio:{nodes}:{seed}`), 2 shards, Hello every 1 s, at rest: with \
`X0TTA6BL4_PQC_BEACONS` and without, in turns ({rounds} each, a new start for each). Processor \
time is that of the shards and the coordinator over {seconds:g} s.

In such a mesh a beacon is checked by the other shard only where links lead there. Therefore also \
the most that there can be: {nodes} nodes that say one beacon a second, each of which another host \
checks, in one process, {turns} turns; the CPU time of saying and checking.

Rates of operations: one thread, {operation:g} s each; "p99" is of single calls."""


@dataclass(frozen=True, slots=True)
class Operation:
    """How long one operation takes, µs."""

    median: float
    p99: float

    @property
    def per_s(self) -> float:
        """How many a core does in a second."""
        return 1e6 / self.median


@benchmark("beacons", "Signed beacons", ("cryptography", "ray", "numpy"))
def measure(
    progress: Progress,
    *,
    nodes: Annotated[int, typer.Option(min=2, max=10_000, help="Nodes of the mesh.")] = NODES,
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="Length of a turn.")] = SECONDS,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Turns of each kind.")] = ROUNDS,
) -> Findings:
    """Measure what signed beacons cost, with security on and off in the same run.

    Raises:
        Unavailable: a mesh did not become ready, or a beacon was not taken.
    """
    progress("operations with keys")
    operations = _operations()
    progress("beacons of all nodes, said and checked")
    most = _most(nodes)
    turns: dict[bool, list[float]] = {False: [], True: []}
    with private_cluster.started(progress) as cluster:
        for number, on in itertools.product(range(rounds), (False, True)):
            tell = named(progress, f"{'with' if on else 'without'}, turn {number + 1} of {rounds}")
            turns[on].append(
                mesh_at_rest.cores(
                    cluster, f"radio:{nodes}:{SEED}", seconds, tell, Flags(pqc_beacons=on)
                )
            )
    return _found(nodes, seconds, rounds, turns, most, operations)


def _most(nodes: int) -> tuple[Spread, Spread]:
    """Cores that saying and checking one beacon of each node in each second take."""
    ring = Topology.of(
        [f"n{at}" for at in range(nodes)], [(at, (at + 1) % nodes) for at in range(nodes)]
    )
    all_nodes = np.arange(nodes, dtype=np.int32)
    with tempfile.TemporaryDirectory(prefix="x0-") as directory:
        mesh = Path(directory) / "mesh"
        mesh.mkdir()
        here, there = (
            SignedBeacons(mesh, BeaconOptions(), PqcWatch(name, MemoryMetrics()))
            for name in ("here", "there")
        )
        here.attend(ring, {0: all_nodes.tolist()})
        there.attend(ring, {})
        while here.report()["without_key"]:
            time.sleep(0.05)
        saying, checking = [], []
        for _ in range(TURNS):
            start = time.process_time()
            said = here.beacons(all_nodes, 0.0)
            between = time.process_time()
            counts = there.hear(all_nodes, said, 0.0)
            end = time.process_time()
            saying.append(between - start)
            checking.append(end - between)
            if counts is None or not counts.all():
                raise defect(f"beacons were refused: {there.report()['refused']}")
    return Spread.of(saying), Spread.of(checking)


def _operations() -> dict[str, Operation]:
    seed, long_seed, message = bytes(range(32)), bytes(range(64)), b"beacon" * 20
    public = keys.mldsa65_keygen(seed)
    signature = keys.mldsa65_sign(seed, message)
    lattice, hybrid = keys.mlkem768_keygen(long_seed), keys.xwing_keygen(seed)
    lattice_text, hybrid_text = keys.mlkem768_encapsulate(lattice), keys.xwing_encapsulate(hybrid)
    ephemeral = Ed25519PrivateKey.generate()
    short = ephemeral.sign(message)
    verifier = ephemeral.public_key()
    alice, bob = (
        Party(name, "mesh", lambda m, c: keys.mldsa65_sign(seed, m, c), lambda _: public)
        for name in ("alice", "bob")
    )
    memory = OfferMemory()

    def handshake() -> None:
        now = time.time()
        initiator, responder = Initiator(alice, "bob", now), Responder(bob, memory, now)
        done, _ = responder.done(initiator.finish(responder.answer(initiator.offer)))
        initiator.done(done)

    return {
        "ML-DSA-65 keygen": _repeated(lambda: keys.mldsa65_keygen(seed)),
        "ML-DSA-65 sign (from the seed)": _repeated(lambda: keys.mldsa65_sign(seed, message)),
        "ML-DSA-65 verify": _repeated(lambda: keys.mldsa65_verify(public, message, signature)),
        "ML-KEM-768 keygen": _repeated(lambda: keys.mlkem768_keygen(long_seed)),
        "ML-KEM-768 encapsulate": _repeated(lambda: keys.mlkem768_encapsulate(lattice)),
        "ML-KEM-768 decapsulate (from the seed)": _repeated(
            lambda: keys.mlkem768_decapsulate(long_seed, lattice_text[0])
        ),
        "X-Wing encapsulate": _repeated(lambda: keys.xwing_encapsulate(hybrid)),
        "X-Wing decapsulate (from the seed)": _repeated(
            lambda: keys.xwing_decapsulate(seed, hybrid_text[0])
        ),
        "Ed25519 sign": _repeated(lambda: ephemeral.sign(message)),
        "Ed25519 verify": _repeated(lambda: verifier.verify(short, message)),
        "handshake, both sides": _repeated(handshake),
    }


def _repeated(operation: Callable[[], object]) -> Operation:
    operation()
    taken = []
    end = time.perf_counter() + OPERATION_S
    while (start := time.perf_counter()) < end:
        operation()
        taken.append(1e6 * (time.perf_counter() - start))
    percentiles = statistics.quantiles(taken, n=100)
    return Operation(statistics.median(taken), percentiles[98])


def _found(
    nodes: int,
    seconds: float,
    rounds: int,
    turns: Mapping[bool, list[float]],
    most: tuple[Spread, Spread],
    operations: Mapping[str, Operation],
) -> Findings:
    off, on = (Spread.of(turns[kind]) for kind in (False, True))
    saying, checking = most
    more, worst = on.median - off.median, saying.median + checking.median
    running = Table(
        ["mesh at rest", "CPU, cores"],
        [["without PQC_BEACONS", str(off)], ["with", str(on)], ["the difference", shown(more)]],
    )
    parts = Table(
        [f"{nodes} beacons each second", "CPU, cores"],
        [
            ["said", str(saying)],
            ["checked", str(checking)],
            ["both", shown(worst)],
        ],
    )
    rates = Table(
        ["operation", "per second", "median, µs", "p99, µs"],
        [
            [name, f"{one.per_s:,.0f}", shown(one.median), shown(one.p99)]
            for name, one in operations.items()
        ],
    )
    cost = max(more, worst)
    short = [] if cost <= MOST_CORES else [f"{cost:.3f} cores, not at most {MOST_CORES:g}"]
    return Findings(
        method=_METHOD.format(
            nodes=nodes,
            seed=SEED,
            rounds=rounds,
            seconds=seconds,
            turns=TURNS,
            operation=OPERATION_S,
        ),
        tables=[running, parts, rates],
        findings=[
            f"{nodes} beacons a second, said and checked, take {100 * worst:.1f} % of a core.",
            f"The mesh at rest takes {100 * more:.1f} % of a core more with PQC_BEACONS.",
        ],
        values={
            "nodes": nodes,
            "cores_off": off.as_dict(),
            "cores_on": on.as_dict(),
            "cores_more": more,
            "cores_said": saying.as_dict(),
            "cores_checked": checking.as_dict(),
            "operations": {
                name: {"median_us": one.median, "p99_us": one.p99}
                for name, one in operations.items()
            },
        },
        shortcomings=short,
        kept=f"Neither is more than {100 * MOST_CORES:.0f} % of a core.",
    )


if __name__ == "__main__":
    measure.main()
