"""The history on disk, for whoever reads it: with a running session or without one.

archive = Archive.of(Settings.load())
archive.events.find(EventQuery(since=...)); archive.metrics.read(...)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

from actors.history.errors import NoHistory
from actors.runtime.clock import iso
from actors.runtime.database_settings import url_of
from actors.runtime.errors import InvalidInput, X0Error
from actors.topology.errors import AmbiguousNode, UnknownNode
from actors.topology.naming import Naming, link_ends, listed
from actors.topology.provenance import Network

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import pyarrow as pa
    from pydantic import SecretStr

    from actors.history.differences import Differences
    from actors.history.event_store import EventStore
    from actors.history.metric_store import MetricStore
    from actors.history.settings import HistorySettings

DATABASE: Final = "history.db"  # in the state directory, unless a database is set
RECORDED: Final = (Network.OBSERVED, Network.EMULATED)
NEAR_S: Final = 900.0  # a sample answers for so long after it
LEAST_QUALITY: Final = 0.1  # smaller changes of a link's quality are those of any radio
METRICS: Final = "history"  # directory in the state directory


@dataclass(frozen=True)  # no slots: cached properties live in __dict__
class Archive:
    """Where the history is. It opens what is asked for, when it is asked for.

    Attributes:
        database_url: URL of the database of events, for SQLAlchemy.
        directory: directory of the metrics.
    """

    database_url: SecretStr
    directory: Path

    @classmethod
    def of(cls, settings: HistorySettings) -> Self:
        """The history of these settings.

        Raises:
            ConfigurationError: the database's URL is none.
        """
        return cls(url_of(settings, DATABASE), settings.state_dir / METRICS)

    @cached_property
    def events(self) -> EventStore:
        """The events; makes their tables if there are none.

        Raises:
            ConfigurationError: the database cannot be opened.
            Unavailable: it does not answer.
        """
        from actors.history.event_store import EventStore  # noqa: PLC0415 - takes time to import
        from actors.history.schema import TABLES  # noqa: PLC0415
        from actors.runtime.database import Database  # noqa: PLC0415

        return EventStore(Database(self.database_url, TABLES))

    @cached_property
    def metrics(self) -> MetricStore:
        """The metrics."""
        from actors.history.metric_store import MetricStore  # noqa: PLC0415 - takes time to import

        return MetricStore(self.directory)

    def check_events(self) -> None:
        """Tell whether there are events at all, without making a database.

        Raises:
            NoHistory: there are none.
        """
        url = urlsplit(self.database_url.get_secret_value())
        if url.scheme == "sqlite" and not Path(url.path[1:]).is_file():
            raise _nothing(f"{url.path[1:]} does not exist")

    def sampled(self, network: Network, at: float) -> Sampled:
        """The newest sample of a network up to a moment.

        Args:
            network: of which network.
            at: the moment, Unix time, s.

        Raises:
            NoHistory: there is none of the quarter of an hour before it.
        """
        from actors.history.metric_store import LINKS, NODES  # noqa: PLC0415 - takes time to import

        found = self.metrics.newest(network, until=at)
        if found is None:
            first = self.metrics.oldest(network)
            kept = "never" if first is None else f"first at {iso(first)}"
            raise _nothing(
                f"the {network.value} network was not sampled up to {iso(at)}, but {kept}"
            )
        if at - found > NEAR_S:
            raise _nothing(
                f"the {network.value} network was not sampled at {iso(at)}, last before it at "
                f"{iso(found)}"
            )
        return Sampled(
            network,
            found,
            self.metrics.moment(network, NODES, found).table,
            self.metrics.moment(network, LINKS, found).table,
        )

    def compared(
        self, network: Network, before: float, now: float, *, least_quality: float = LEAST_QUALITY
    ) -> Compared:
        """What is not as it was in a network.

        Args:
            network: which network.
            before: the earlier moment, Unix time, s.
            now: the later one.
            least_quality: smallest change of a link's quality that counts.

        Raises:
            InvalidInput: the earlier moment is not before the later one.
            NoHistory: there is no sample near one of them.
        """
        from actors.history.differences import differences  # noqa: PLC0415 - takes time to import

        if before >= now:
            raise InvalidInput(
                "the time before is refused",
                f"it is not before {iso(now)}",
                "Give an earlier one.",
                entry="since",
            )
        was, is_now = self.sampled(network, before), self.sampled(network, now)
        found = differences(
            (was.nodes, was.links), (is_now.nodes, is_now.links), least_quality=least_quality
        )
        return Compared(was, is_now, found)

    def naming(self, *moments: float, networks: Collection[Network] = RECORDED) -> KnownNodes:
        """Finds nodes by how they were called at moments (Unix time, s), the earlier ones first."""
        from actors.history.metric_store import NODES  # noqa: PLC0415 - takes time to import

        names: dict[str, str] = {}
        for network in networks:
            for at in moments:
                found = self.metrics.newest(network, until=at)
                if found is not None:
                    rows = self.metrics.moment(network, NODES, found).table
                    ids, called = rows["id"].to_pylist(), rows["name"].to_pylist()
                    for id_, name in zip(ids, called, strict=True):
                        names[id_] = name or names.get(id_, "")
        return KnownNodes.of(names)

    def network(self, wanted: Network | None = None) -> tuple[Network, float]:
        """Which network metrics are about, and the time of its newest sample, Unix time, s.

        Args:
            wanted: this one; None: the one that was sampled last.

        Raises:
            NoHistory: none was sampled.
        """
        kinds = RECORDED if wanted is None else (wanted,)
        newest = [(at, kind) for kind in kinds if (at := self.metrics.newest(kind)) is not None]
        if not newest:
            what = "network" if wanted is None else f"{wanted.value} network"
            raise _nothing(f"no {what} was sampled below {self.directory}")
        # Of two in the same minute, the real one.
        at, kind = max(newest, key=lambda one: (one[0], one[1] is Network.OBSERVED))
        return kind, at


@dataclass(frozen=True, slots=True)
class KnownNodes:
    """Finds nodes of the history.

    Attributes:
        ids: their ids.
        naming: how they are called.
    """

    ids: Sequence[str]
    naming: Naming

    @classmethod
    def of(cls, names: Mapping[str, str]) -> Self:
        """Nodes by their names, "" where there is none, by id."""
        index = {id_: row for row, id_ in enumerate(names)}
        return cls(tuple(names), Naming(index, tuple(names.values())))

    def find(self, text: str) -> str:
        """Id of the node that a person means, see `naming`.

        Raises:
            UnknownNode: it fits none.
            AmbiguousNode: it fits several.
        """
        return self.ids[self.naming.find(text)]

    def exact(self, text: str) -> str:
        """Id of the node with this id or whole name, for programs.

        Raises:
            UnknownNode: there is none.
            AmbiguousNode: several nodes have this name.
        """
        return self.ids[self.naming.exact(text)]

    def find_link(self, text: str) -> tuple[str, str]:
        """Ids of the ends, in their order, of the link that a person writes as `A,B` or `A--B`.

        Raises:
            UnknownNode: an end fits no node.
            AmbiguousNode: an end fits several.
            InvalidInput: it is no link.
        """
        pairs = [*link_ends(text)]
        both = listed(text)
        if len(both) == len(("a", "b")):
            pairs.append((both[0], both[1]))
        problem: X0Error = InvalidInput(
            f"the link {text[:80]!a} is refused", "a link has two ends", "Write A,B or A--B."
        )
        for a, b in pairs:
            try:
                found = sorted((self.find(a.strip()), self.find(b.strip())))
            except (UnknownNode, AmbiguousNode) as error:
                problem = error
            else:
                return found[0], found[1]
        raise problem


@dataclass(frozen=True, slots=True)
class Sampled:
    """The sample of a network that answers for a moment.

    Attributes:
        network: which network.
        at: Unix time of the sample, s.
        nodes, links: its rows, see `metric_store.Rows`.
    """

    network: Network
    at: float
    nodes: pa.Table
    links: pa.Table

    def as_dict(self) -> dict[str, Any]:
        """When it was, and how large the network was."""
        return {"at": iso(self.at), "nodes": self.nodes.num_rows, "links": self.links.num_rows}


@dataclass(frozen=True, slots=True)
class Compared:
    """A network at two moments.

    Attributes:
        before, now: how it was, and is.
        found: what is different.
    """

    before: Sampled
    now: Sampled
    found: Differences

    def as_dict(self, most: int | None = None) -> dict[str, Any]:
        """As JSON tells it: the first so many differences of nodes, and of links, and their number.

        Args:
            most: how many of each; None: all.
        """
        nodes, links = self.found.nodes, self.found.links
        return {
            "network": self.now.network.value,
            "before": self.before.as_dict(),
            "now": self.now.as_dict(),
            "different_nodes": len(nodes),
            "different_links": len(links),
            "nodes": [one.as_dict() for one in nodes[:most]],
            "links": [one.as_dict() for one in links[:most]],
        }


def _nothing(why: str) -> NoHistory:
    return NoHistory(
        "there is no history",
        why,
        "It is recorded while `x0 up` or `x0 watch` runs; X0TTA6BL4_STATE_DIR says where.",
    )
