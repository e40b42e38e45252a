"""History of a large network: writing and reading it, beside one SQLite row a sample."""

from __future__ import annotations

import sqlite3
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import numpy as np
import typer

from actors.history.metric_store import HOUR_S, LINKS, MINUTE_S, NODES, MetricStore
from actors.topology.provenance import Network
from actors.topology.samples import LINK_FIGURES, LinkSamples, NetworkSample, NodeSamples
from loadtests.benchmark import Findings, Progress, Table, benchmark, defect
from loadtests.spread import Spread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

N_NODES: Final = 2_000
N_LINKS: Final = 8_000
RUNS: Final = 5
SEED: Final = 1
_BEGIN: Final = 1_764_000_000 // HOUR_S * HOUR_S  # Unix time, s
_MINUTES: Final = HOUR_S // MINUTE_S
_FIGURES: Final = ("airtime_24", "clients", "load", "memory", "rx_bytes", "tx_bytes", "uptime_s")
_METHOD: Final = """\
One hour of a made-up network of {nodes:,} nodes with {figures} figures each and {links:,} links \
with quality and cost of both directions, sampled once a minute. Qualities are in steps of 1/255, \
as BATMAN measures them, and drift. Writing is processor time, of this process, for one minute; \
the end of the hour, when 60 minutes become one sorted file, is shared out among its minutes. \
Reading is wall time, the files in the page cache, {runs} nodes and links drawn at random.

The comparator is a table of nodes and one of links in SQLite (WAL, synchronous=FULL), one row a \
sample, a transaction a minute, with the primary key (node, time), or (a, b, kind, time), WITHOUT \
ROWID, so that the rows of one node lie side by side."""


@benchmark("history", "Writing and reading history", ("pyarrow", "numpy"))
def measure(
    progress: Progress,
    *,
    runs: Annotated[int, typer.Option(min=1, max=100, help="Nodes and links to read.")] = RUNS,
) -> Findings:
    """Measure what an hour of a large network costs to write, to keep and to read.

    Raises:
        Unavailable: one of the two stores does not tell what was written.
    """
    with tempfile.TemporaryDirectory(prefix="x0-history-") as directory:
        samples = list(_samples())
        progress("writing Parquet")
        ours = _Parquet(Path(directory))
        wrote = _cpu(lambda: ours.write(samples))
        size = ours.store.bytes()
        progress("writing rows of SQLite")
        rows = _Sqlite(Path(directory) / "rows.db")
        wrote_rows = _cpu(lambda: rows.write(samples))
        rows_size = rows.bytes()
        progress("reading both")
        last = samples[-1]
        rng = np.random.default_rng(SEED)
        timed: dict[str, list[float]] = {}
        for _ in range(runs):
            node = last.nodes.ids[int(rng.integers(N_NODES))]
            link = int(rng.integers(N_LINKS))
            ends = (last.links.a[link], last.links.b[link])
            _read_both(timed, "node", partial(ours.node, node), partial(rows.node, node))
            _read_both(timed, "link", partial(ours.link, ends), partial(rows.link, ends))
            at = _BEGIN + MINUTE_S * int(rng.integers(_MINUTES))
            _read_both(timed, "moment", partial(ours.moment, at), partial(rows.moment, at))
        rows.close()
    return _findings((wrote, wrote_rows), (size, rows_size), timed, runs)


def _cpu(work: Callable[[], None]) -> float:
    """Processor time of a piece of work, s."""
    before = time.process_time()
    work()
    return time.process_time() - before


def _read_both(
    timed: dict[str, list[float]],
    what: str,
    ours: Callable[[], list[float]],
    theirs: Callable[[], list[float]],
) -> None:
    """Time how long either takes to tell the same.

    Raises:
        Unavailable: they tell something else.
    """
    found = []
    for whose, read in (("parquet", ours), ("sqlite", theirs)):
        begun = time.perf_counter()
        found.append(read())
        timed.setdefault(f"{what} {whose}", []).append(time.perf_counter() - begun)
    if not found[0] or not np.allclose(found[0], found[1]):
        raise defect(f"the two stores tell something else of a {what}")


# -- the network -----------------------------------------------------------------------------------


def _samples() -> Iterator[NetworkSample]:
    rng = np.random.default_rng(SEED)
    ids = tuple(f"{number:012x}" for number in rng.choice(2**40, N_NODES, replace=False).tolist())
    names = tuple(f"router-{number}" for number in range(N_NODES))
    pairs: set[tuple[str, str]] = set()
    while len(pairs) < N_LINKS:
        a, b = sorted(rng.choice(N_NODES, 2, replace=False).tolist(), key=lambda row: ids[row])
        pairs.add((ids[a], ids[b]))
    listed = sorted(pairs)
    quality = rng.integers(60, 256, (N_LINKS, 2))
    clients, memory = rng.integers(0, 40, N_NODES), rng.random(N_NODES)
    traffic = rng.integers(0, 10**9, (N_NODES, 2)).astype(np.float64)
    for minute in range(_MINUTES):
        quality = np.clip(quality + rng.integers(-2, 3, quality.shape), 1, 255)
        traffic += rng.integers(0, 10**6, traffic.shape)
        figures = (
            np.round(rng.random(N_NODES), 3),
            clients + rng.integers(0, 2, N_NODES),
            np.round(rng.random(N_NODES), 2),
            np.round(memory + rng.normal(0, 0.005, N_NODES), 3),
            traffic[:, 0].copy(),
            traffic[:, 1].copy(),
            np.arange(N_NODES) * 1000.0 + minute * MINUTE_S,
        )
        yield NetworkSample(
            NodeSamples(ids, names, ("up",) * N_NODES, _columns(_FIGURES, figures)),
            LinkSamples(
                tuple(a for a, _ in listed),
                tuple(b for _, b in listed),
                ("wifi",) * N_LINKS,
                ("up",) * N_LINKS,
                _columns(LINK_FIGURES, (*(quality / 255).T, *(255 / quality).T)),
            ),
        )


def _columns(
    names: Sequence[str], values: Sequence[NDArray[np.generic]]
) -> dict[str, NDArray[np.float64]]:
    return {
        name: np.asarray(column, np.float64) for name, column in zip(names, values, strict=True)
    }


# -- the two stores --------------------------------------------------------------------------------


class _Parquet:
    """The project's own."""

    def __init__(self, directory: Path) -> None:
        self.store = MetricStore(directory / "history")
        self._span = {"since": _BEGIN, "until": _BEGIN + HOUR_S}

    def write(self, samples: Sequence[NetworkSample]) -> None:
        for minute, sample in enumerate(samples):
            self.store.write(Network.OBSERVED, sample, _BEGIN + minute * MINUTE_S)
        self.store.compact(_BEGIN + 2 * HOUR_S)

    def node(self, node: str) -> list[float]:
        return self._read(NODES, "rx_bytes", {"id": node})

    def link(self, ends: tuple[str, str]) -> list[float]:
        return self._read(LINKS, "quality_ab", dict(zip("ab", ends, strict=True)))

    def moment(self, at: float) -> list[float]:
        table = self.store.moment(Network.OBSERVED, LINKS, at).table
        found: list[float] = table.sort_by([("a", "ascending"), ("b", "ascending")])[
            "quality_ab"
        ].to_pylist()
        return found

    def _read(self, what: str, figure: str, key: dict[str, str]) -> list[float]:
        rows = self.store.read(Network.OBSERVED, what, since=_BEGIN, until=_BEGIN + HOUR_S, key=key)
        found: list[float] = rows.table[figure].to_pylist()
        return found


class _Sqlite:
    """One row a sample."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db = sqlite3.connect(path)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        figures, directions = ", ".join(_FIGURES), ", ".join(LINK_FIGURES)
        self._db.execute(
            f"CREATE TABLE nodes (id TEXT, at INTEGER, name TEXT, state TEXT, {figures}, "
            "PRIMARY KEY (id, at)) WITHOUT ROWID"
        )
        self._db.execute(
            f"CREATE TABLE links (a TEXT, b TEXT, kind TEXT, at INTEGER, state TEXT, {directions}, "
            "PRIMARY KEY (a, b, kind, at)) WITHOUT ROWID"
        )
        self._db.execute("CREATE INDEX of_time ON links (at)")

    def write(self, samples: Sequence[NetworkSample]) -> None:
        for minute, sample in enumerate(samples):
            nodes, links = sample.nodes, sample.links
            times = [_BEGIN + minute * MINUTE_S] * N_LINKS
            of_nodes = (nodes.figures[name].tolist() for name in _FIGURES)
            of_links = (links.figures[name].tolist() for name in LINK_FIGURES)
            with self._db:
                self._insert("nodes", (nodes.ids, times, nodes.names, nodes.states, *of_nodes))
                self._insert(
                    "links", (links.a, links.b, links.kinds, times, links.states, *of_links)
                )

    def _insert(self, table: str, columns: Sequence[Sequence[object]]) -> None:
        marks = ", ".join("?" * len(columns))
        rows = zip(*columns, strict=False)  # the times are as many as the links
        self._db.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608 - no input

    def node(self, node: str) -> list[float]:
        return self._read("SELECT rx_bytes FROM nodes WHERE id = ? ORDER BY at", (node,))

    def link(self, ends: tuple[str, str]) -> list[float]:
        return self._read("SELECT quality_ab FROM links WHERE a = ? AND b = ? ORDER BY at", ends)

    def moment(self, at: float) -> list[float]:
        return self._read("SELECT quality_ab FROM links WHERE at = ? ORDER BY a, b", (at,))

    def _read(self, asked: str, values: tuple[object, ...]) -> list[float]:
        return [row[0] for row in self._db.execute(asked, values)]

    def bytes(self) -> int:
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return self._path.stat().st_size

    def close(self) -> None:
        self._db.close()


# -- what it says ----------------------------------------------------------------------------------


def _findings(
    wrote: tuple[float, float],
    size: tuple[int, int],
    timed: dict[str, list[float]],
    runs: int,
) -> Findings:
    minutes = [1000 * seconds / _MINUTES for seconds in wrote]
    reads = {name: Spread.of(1000 * one for one in values) for name, values in timed.items()}
    words = {
        "node": "an hour of one node",
        "link": "an hour of one link",
        "moment": "all links then",
    }
    rows = [
        ["a minute written, ms of a processor", *(f"{one:.1f}" for one in minutes)],
        ["an hour kept, MB", *(f"{one / 1e6:.2f}" for one in size)],
        *(
            [f"{word} read, ms", str(reads[f"{what} parquet"]), str(reads[f"{what} sqlite"])]
            for what, word in words.items()
        ),
    ]
    core = minutes[0] / 1000 / MINUTE_S
    return Findings(
        _METHOD.format(nodes=N_NODES, links=N_LINKS, figures=len(_FIGURES), runs=runs),
        [Table(["", "Parquet, by the hour", "SQLite, a row a sample"], rows)],
        [
            f"It takes {size[0] / size[1]:.3f} of the space of rows.",
            f"A day takes {24 * size[0] / 1e6:.0f} MB.",
            (
                f"Writing takes {minutes[0] / minutes[1]:.2f} of the processor time of rows: "
                f"{core:.2%} of a core."
            ),
        ],
        {
            "cpu_ms_a_minute": dict(zip(("parquet", "sqlite"), minutes, strict=True)),
            "bytes_an_hour": dict(zip(("parquet", "sqlite"), size, strict=True)),
            "read_ms": {name: list(one.values) for name, one in reads.items()},
        },
    )


if __name__ == "__main__":
    measure.main()
