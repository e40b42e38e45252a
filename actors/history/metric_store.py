"""Samples of networks in Parquet files, at one-minute resolution.

    DIRECTORY/observed/nodes/2026-11-28T22.parquet          an hour, sorted by node and time
    DIRECTORY/observed/nodes/2026-11-28T23.parts/07.parquet  a minute of the hour that goes on

A minute is a file of its own until its hour is over; then the minutes become one file, sorted so
that a node's 60 rows lie side by side, which compress well and are found by the statistics of row
groups. Every file is complete before it has its name. Hours are in UTC. The format is open: pandas,
DuckDB and Spark read these files as they are.

Invariants: what a process that is killed leaves is read, and completed by the next one; a minute is
told once, wherever it is; a file that cannot be read costs its own rows; what is kept takes less
than the bound that was set, since the oldest hours go first.
"""

from __future__ import annotations

import io
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from actors.runtime.state_files import ensure_directory, sync_directory, write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from actors.topology.provenance import Network
    from actors.topology.samples import NetworkSample

MINUTE_S: Final = 60
HOUR_S: Final = 3_600
NODES: Final = "nodes"
LINKS: Final = "links"
KEYS: Final[Mapping[str, tuple[str, ...]]] = {NODES: ("id",), LINKS: ("a", "b", "kind")}
_TEXTS: Final[Mapping[str, tuple[str, ...]]] = {
    NODES: ("id", "name", "state"),
    LINKS: ("a", "b", "kind", "state"),
}
MOST_FIGURES: Final = 64  # most figures of a node or link that are kept
_ROW_GROUP: Final = 8_192  # rows whose statistics decide together whether they are read
_HOUR: Final = "%Y-%m-%dT%H"
_AT: Final = pa.timestamp("ms", tz="UTC")  # Parquet has no whole seconds


@dataclass(frozen=True, slots=True)
class Rows:
    """What was read.

    Attributes:
        table: columns `at`, those of `KEYS`, `state`, for nodes `name`, and figures.
        unreadable: files that could not be read.
    """

    table: pa.Table
    unreadable: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Hour:
    """One hour of nodes or of links of a network."""

    begin: int  # Unix time, s
    directory: Path

    @property
    def name(self) -> str:
        return datetime.fromtimestamp(self.begin, UTC).strftime(_HOUR)

    @property
    def whole(self) -> Path:
        return self.directory / f"{self.name}.parquet"

    @property
    def parts(self) -> Path:
        return self.directory / f"{self.name}.parts"

    def minutes(self) -> list[Path]:
        """The minutes that are files of their own, the oldest first."""
        return sorted(self.parts.glob("[0-5][0-9].parquet"))

    def bytes(self) -> int:
        return sum(path.stat().st_size for path in (self.whole, *self.minutes()) if path.is_file())


@dataclass(frozen=True, slots=True)
class MetricStore:
    """The samples below a directory. Synchronous; one writes, anybody reads.

    Attributes:
        directory: where they are.
    """

    directory: Path

    # -- writing ---------------------------------------------------------------------------------

    def write(self, network: Network, sample: NetworkSample, at: float) -> None:
        """Store the sample of a minute, unless that minute has one.

        Args:
            network: which network it is of.
            sample: the sample.
            at: Unix time, s.

        Raises:
            OSError: it cannot be written; nothing of it is left.
        """
        minute = int(at) // MINUTE_S * MINUTE_S
        nodes, links = sample.nodes, sample.links
        texts = {"id": nodes.ids, "name": nodes.names, "state": nodes.states}
        self._write(network, NODES, minute, texts, nodes.figures)
        texts = {"a": links.a, "b": links.b, "kind": links.kinds, "state": links.states}
        self._write(network, LINKS, minute, texts, links.figures)

    def _write(
        self,
        network: Network,
        what: str,
        minute: int,
        texts: Mapping[str, Sequence[str]],
        figures: Mapping[str, Any],
    ) -> None:
        hour = _Hour(minute // HOUR_S * HOUR_S, self.directory / network.value / what)
        path = hour.parts / f"{minute % HOUR_S // MINUTE_S:02}.parquet"
        if path.exists():
            return
        rows = len(next(iter(texts.values())))
        columns = {"at": pa.array([minute * 1000] * rows, pa.int64()).cast(_AT)}
        columns |= {name: pa.array(values, pa.string()) for name, values in texts.items()}
        for name in sorted(figures)[:MOST_FIGURES]:
            # Without NaN: what is not known is absent in every tool.
            columns[name] = pa.array(figures[name], pa.float64(), from_pandas=True)
        ensure_directory(hour.parts)
        write_atomic(path, _encoded(pa.table(columns)), private=True)

    def compact(self, now: float) -> int:
        """Make one file of the minutes of each hour that is over; how many hours.

        Raises:
            OSError: one cannot be written; its minutes are kept.
        """
        done = 0
        for hour in self._hours():
            if hour.begin + HOUR_S <= now and hour.parts.is_dir():
                self._compact(hour)
                done += 1
        return done

    def _compact(self, hour: _Hour) -> None:
        what = hour.directory.name
        table = self._hour_rows(hour, None, None)
        if table is not None and table.num_rows:
            order = [(name, "ascending") for name in (*KEYS[what], "at")]
            write_atomic(hour.whole, _encoded(table.sort_by(order)), private=True)
        # After the whole hour has its name: what is read twice until then is told once.
        shutil.rmtree(hour.parts)
        sync_directory(hour.directory)

    def expire(self, before: float, most_bytes: int) -> int:
        """Delete what is older than a Unix time, and the oldest hours above a size; how many.

        The hour that goes on is never deleted.
        """
        hours = sorted(self._hours(), key=lambda hour: hour.begin)
        sizes = [hour.bytes() for hour in hours]
        total, deleted = sum(sizes), 0
        for hour, size in zip(hours, sizes, strict=True):
            if hour.begin == hours[-1].begin or (
                hour.begin + HOUR_S > before and total <= most_bytes
            ):
                continue
            hour.whole.unlink(missing_ok=True)
            shutil.rmtree(hour.parts, ignore_errors=True)
            total -= size
            deleted += 1
        return deleted

    # -- reading ---------------------------------------------------------------------------------

    def bytes(self) -> int:
        """Size of all files."""
        return sum(hour.bytes() for hour in self._hours())

    def newest(self, network: Network, *, until: float | None = None) -> float | None:
        """Time of the newest sample, not after `until`: Unix time, s; None without any."""
        for hour in reversed(self._hours_sampled(network)):
            if until is None or hour.begin <= until:
                fitting = [at for at in self._minutes(hour) if until is None or at <= until]
                if fitting:
                    return float(max(fitting))
        return None

    def oldest(self, network: Network) -> float | None:
        """Time of the oldest sample, Unix time, s; None without any."""
        times = (self._minutes(hour) for hour in self._hours_sampled(network))
        return next((float(min(found)) for found in times if found), None)

    def _hours_sampled(self, network: Network) -> list[_Hour]:
        return list(self._hours_of(self.directory / network.value / NODES))

    def _minutes(self, hour: _Hour) -> list[int]:
        return _times(self._hour_rows(hour, None, ["at"]))

    def moment(self, network: Network, what: str, at: float) -> Rows:
        """All nodes or links at one minute."""
        return self.read(network, what, since=at, until=at + 1)

    def read(
        self,
        network: Network,
        what: str,
        *,
        since: float,
        until: float,
        key: Mapping[str, str] | None = None,
    ) -> Rows:
        """What was sampled in a span of time, ordered by time.

        Args:
            network: of which network.
            what: `NODES` or `LINKS`.
            since: not before, Unix time, s.
            until: before, Unix time, s.
            key: only of the node or links with these values of columns of `KEYS`.
        """
        wanted = _equal(key or {})
        unreadable: list[str] = []
        tables = []
        for hour in self._hours_of(self.directory / network.value / what):
            if hour.begin + HOUR_S > since and hour.begin < until:
                table = self._hour_rows(hour, wanted, None, unreadable)
                if table is not None:
                    tables.append(table)
        if not tables:
            return Rows(_empty(what), tuple(unreadable))
        whole = pa.concat_tables(tables, promote_options="default")
        begin, end = (
            pa.scalar(round(since * 1000)).cast(_AT),
            pa.scalar(round(until * 1000)).cast(_AT),
        )
        inside = pc.and_(pc.greater_equal(whole["at"], begin), pc.less(whole["at"], end))
        return Rows(whole.filter(inside).sort_by("at"), tuple(unreadable))

    def _hour_rows(
        self,
        hour: _Hour,
        wanted: pc.Expression | None,
        columns: list[str] | None,
        unreadable: list[str] | None = None,
    ) -> pa.Table | None:
        """The rows of an hour, those of a minute once; None without any."""
        lost = [] if unreadable is None else unreadable
        whole = _read(hour.whole, wanted, columns, lost) if hour.whole.is_file() else None
        minutes = hour.minutes()
        tables = [] if whole is None else [whole]
        if whole is not None and minutes:  # the writer was killed before it had removed them
            told = set(_times(_read(hour.whole, None, ["at"], lost)))
            minutes = [p for p in minutes if hour.begin + MINUTE_S * int(p.stem) not in told]
        for path in minutes:
            table = _read(path, wanted, columns, lost)
            if table is not None:
                tables.append(table)
        return pa.concat_tables(tables, promote_options="default") if tables else None

    def _hours(self) -> Iterator[_Hour]:
        for directory in self.directory.glob("*/*/"):
            if directory.name in KEYS:
                yield from self._hours_of(directory)

    def _hours_of(self, directory: Path) -> Iterator[_Hour]:
        names = {path.stem for path in directory.glob("*.parquet")}
        names |= {path.stem for path in directory.glob("*.parts")}
        for name in sorted(names):
            try:
                begin = datetime.strptime(name, _HOUR).replace(tzinfo=UTC)
            except ValueError:
                continue  # not ours
            yield _Hour(int(begin.timestamp()), directory)


def _encoded(table: pa.Table) -> bytes:
    target = io.BytesIO()
    pq.write_table(table, target, compression="zstd", row_group_size=_ROW_GROUP)
    return target.getvalue()


def _times(table: pa.Table | None) -> list[int]:
    """The minutes of a table, Unix time, s."""
    if table is None:
        return []
    return [at // 1000 for at in pc.unique(table["at"]).cast(pa.int64()).to_pylist()]


def _read(
    path: Path, wanted: pc.Expression | None, columns: list[str] | None, lost: list[str]
) -> pa.Table | None:
    """A file, or those of its row groups that may have what is wanted, and of them what is."""
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            if wanted is None or file.metadata.num_row_groups == 1:
                table = file.read(columns, use_threads=False)
                return table if wanted is None else table.filter(wanted)
        return pq.read_table(path, filters=wanted, partitioning=None, use_threads=False)
    except (OSError, pa.ArrowException):
        lost.append(str(path))
        return None


def _equal(key: Mapping[str, str]) -> pc.Expression | None:
    wanted: pc.Expression | None = None
    for column, value in key.items():
        one = pc.field(column) == value
        wanted = one if wanted is None else wanted & one
    return wanted


def _empty(what: str) -> pa.Table:
    texts: Iterable[str] = _TEXTS[what]
    return pa.schema([("at", _AT), *((name, pa.string()) for name in texts)]).empty_table()
