"""Which links of a network are down, by its events, and how large a share of all that is (pure)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from actors.topology.events import EventKind

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from actors.topology.events import NetworkEvent

_ENDS: Final = (EventKind.LINK_UP, EventKind.LINK_ADDED, EventKind.LINK_RETIRED)


@dataclass(slots=True)
class DownLinks:
    """The links of one network that have gone down.

    Attributes:
        total: number of links of the network, those that are down included; 0: not known.
    """

    total: int = 0
    _down: set[tuple[str, ...]] = field(default_factory=set)

    def take(self, event: NetworkEvent) -> bool:
        """Note what an event says of links; whether it says anything."""
        links, now = event.data.get("links"), event.data.get("now")
        if isinstance(now, dict) and now.get("links") is not None:
            self.total = int(now["links"])
        if isinstance(links, dict):
            for condition, keys in links.items():
                # A link that is new and down has never worked: nobody has relied on it.
                down = condition == "down" and event.kind is not EventKind.LINK_ADDED
                self._note([tuple(key) for key in keys], down=down)
            return True
        if event.link is not None and event.kind is EventKind.LINK_DOWN:
            self._note([event.link], down=event.data.get("listed", True))
        elif event.link is not None and event.kind in _ENDS:
            self._note([event.link], down=False)
        return event.link is not None or isinstance(now, dict)

    def _note(self, keys: list[tuple[str, ...]], *, down: bool) -> None:
        if down:
            self._down.update(keys)
        else:
            self._down.difference_update(keys)

    def down(self, away: Collection[str]) -> int:
        """How many are down between nodes that work.

        Args:
            away: ids of nodes that do not work.
        """
        return sum(key[0] not in away and key[1] not in away for key in self._down)

    def share(self, away: Collection[str]) -> float:
        """The share of all links that is down between nodes that work; `total` must be known."""
        return min(1.0, self.down(away) / self.total)

    def export(self) -> dict[str, Any]:
        """As JSON."""
        return {"total": self.total, "down": sorted(self._down)}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> DownLinks:
        """What `export` gave."""
        return cls(int(state["total"]), {tuple(key) for key in state["down"]})
