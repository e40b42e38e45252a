"""Takes up what an earlier life of the owner has left, and tells how long nothing was attached."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from actors.runtime.errors import X0Error
from actors.xdp.reconciliation import Wish

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.xdp.contract import Ownership
    from actors.xdp.host_alerts import HostAlerts
    from actors.xdp.kept_wishes import Kept, KeptWish, WishFile


@dataclass(frozen=True, slots=True)
class Recalled:
    """What an owner begins with.

    Attributes:
        wishes: by name of the interface.
        yielded: indices of interfaces from which somebody detached the program, by name.
        said: what people should know of it, a line each.
    """

    wishes: Mapping[str, Wish]
    yielded: Mapping[str, int] = field(default_factory=dict)
    said: tuple[str, ...] = ()


class WishKeeper:
    """What is wished on a host, from one life of its owner to the next.

    Args:
        file: where it is kept.
        alerts: are told what the earlier life had attached.
    """

    def __init__(self, file: WishFile, alerts: HostAlerts) -> None:
        self._file = file
        self._alerts = alerts
        self._detached_since: dict[str, float] = {}  # at most: as its owner died
        self.trouble = ""  # why the next life will not know what is wished

    def recall(self, chosen: Mapping[str, Wish]) -> Recalled:
        """What is wished now: in a first life `chosen`, by settings; then what that has become."""
        try:
            kept = self._file.read()
        except (OSError, ValueError) as error:
            said = f"what was wished before cannot be read ({error}): the settings count"
            return Recalled(chosen, said=(said,))
        return Recalled(chosen) if kept is None else self._recalled(kept, chosen)

    def _recalled(self, kept: Kept, chosen: Mapping[str, Wish]) -> Recalled:
        wishes = {name: chosen[name] for name in kept.unread if name in chosen}
        yielded = {}
        for name, wish in kept.wishes.items():
            wishes[name] = Wish(wish.mode, wish.pin, wish.rules)
            if wish.yielded is not None:
                yielded[name] = wish.yielded
            if wish.attached:
                self._detached_since[name] = kept.alive_at
                self._alerts.expect(name)
        said = (
            f"what was wished of {name} before cannot be read ({why})"
            for name, why in kept.unread.items()
        )
        return Recalled(wishes, yielded, tuple(said))

    def compare(self, states: Mapping[str, Ownership], at: float) -> list[str]:
        """Tell of programs that are attached again, a line each.

        Args:
            states: of the owned interfaces, after a look.
            at: Unix time, s.
        """
        said = []
        for name, since in tuple(self._detached_since.items()):
            now = states.get(name)
            if now is not None and now.state == "refused":
                continue
            del self._detached_since[name]
            # What is found attached, by its pin, has been so all the time.
            if now is not None and now.attached is not None and now.attached.attempts:
                self._alerts.reattached(name, since, at)
                said.append(
                    f"{name} was without its program for at most {at - since:.1f} s, since this"
                    " actor had ended; it has its rules again, and counts anew"
                )
        return said

    def keep(self, wishes: Mapping[str, KeptWish]) -> list[str]:
        """Keep what is wished for the next life; what has to be said, a line each."""
        before = self.trouble
        try:
            self._file.keep(wishes)
            self.trouble = ""
        except (X0Error, OSError) as error:
            self.trouble = str(error)
        if self.trouble and self.trouble != before:
            return [f"what is wished cannot be kept for the case of a crash: {self.trouble}"]
        return []
