"""Owns the program on some interfaces for as long as it lives: attaches, adopts, follows changes.

`look` brings what is into line with what is wished; whoever runs the owner calls it at the start,
whenever `interfaces.LinkChanges` says that something has changed, and now and then. An interface
that is made anew gets the program again, with its rules and counters; one that a foreign program
has left gets it with its rules. What somebody detached is not attached again: that was meant. A
foreign program stays.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from actors.runtime.errors import Conflict, X0Error
from actors.xdp import attachment, interfaces, preflight, rules
from actors.xdp.contract import Mode, Ownership
from actors.xdp.errors import ForeignProgram, NoInterface
from actors.xdp.kept_wishes import KeptWish
from actors.xdp.program import Program
from actors.xdp.reconciliation import Sight, Step, Wish, decide

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.xdp.attachment import Attachment, Host
    from actors.xdp.contract import Attached, Interface, Occupant, State

NEW: Final = "it has not been looked at yet"


class Owner:
    """Owns the program on interfaces of this thread's network namespace.

    Args:
        host: this host.
        wishes: what is to be attached, by name of the interface.
        yielded: indices of interfaces from which somebody has detached it, by name.

    Raises:
        XdpUnavailable: this process cannot use XDP.
    """

    def __init__(
        self, host: Host, wishes: Mapping[str, Wish], yielded: Mapping[str, int] | None = None
    ) -> None:
        preflight.require(host.bpffs, pin=any(wish.pin for wish in wishes.values()))
        self._host = host
        self._wishes = dict(wishes)
        self._held: dict[str, Attachment] = {}
        self._kept: dict[str, Program] = {}  # tables of interfaces that are gone
        self._yielded = dict(yielded or {})
        self._rules: dict[str, bytes] = {}  # as tables hold them
        self.states: dict[str, Ownership] = {
            name: Ownership("waiting", NEW, None, None, None) for name in wishes
        }

    def take_over(self) -> tuple[str, ...]:
        """Adopt what is pinned here, and remove pins that hold nothing.

        Returns:
            Names of the interfaces that are owned from now on, though nobody wished it.
        """
        attachment.remove_orphans(self._host)
        found = []
        for name in attachment.pinned_interfaces(self._host):
            if name not in self._wishes:
                self._wishes[name] = Wish(Mode.AUTO, pin=True)
                found.append(name)
        return tuple(found)

    def look(self) -> tuple[str, ...]:
        """Bring what is into line with what is wished.

        Returns:
            What has changed, a sentence each.
        """
        said = []
        present = {one.name: one for one in interfaces.interfaces()}
        for name, wish in self._wishes.items():
            before = self.states.get(name)
            now = self._looked(name, wish, present.get(name))
            self.states[name] = now
            self._learn(name)
            said += _said(name, before, now)
        return tuple(said)

    def learn(self) -> None:
        """Take note of the rules of what is attached, which anybody may have changed."""
        for name in self._wishes:
            self._learn(name)

    def _learn(self, name: str) -> None:
        if (program := self.program(name)) is not None:
            # What cannot be read now is as it was: whoever counts says that it cannot be read.
            with contextlib.suppress(X0Error, OSError):
                content = rules.content(program)
                if content != self._rules.get(name):  # to read thousands of networks takes long
                    found = rules.rules(program)
                    self._wishes[name] = replace(self._wishes[name], rules=found)
                    self._rules[name] = content

    def wishes(self) -> dict[str, KeptWish]:
        """What is wished, and how far it is fulfilled, by name of the interface."""
        return {
            name: KeptWish(
                wish.mode,
                wish.pin,
                wish.rules,
                attached=name in self._held,
                yielded=self._yielded.get(name),
            )
            for name, wish in self._wishes.items()
        }

    def hold(self, made: Attachment) -> None:
        """Own what has been attached by `attachment.attach`."""
        name = made.attached.interface
        self._held[name] = made
        found = interfaces.interface(name)
        self.states[name] = self._ownership("attached", "", found, made.attached)

    def attach(self, name: str, wish: Wish) -> Attached:
        """Attach the program to an interface, and own it from now on.

        Raises:
            X0Error: as of `attachment.attach`; what was wished before stays.
        """
        found = interfaces.interface(name)
        if self._step(name, found) is Step.LET_GO:
            self._let_go(name)
        self._attach(name, wish)
        self._wishes[name] = wish
        self._rules.pop(name, None)
        self._yielded.pop(name, None)
        made = self._held[name].attached
        self.states[name] = self._ownership("attached", "", found, made)
        return made

    def detach(self, name: str) -> Occupant | None:
        """Detach the program from an interface, and own it no more.

        Returns:
            What was attached; None: nothing was.

        Raises:
            NoInterface: there is no such interface, and it was not waited for.
            ForeignProgram: somebody else's program stays; it is not wished any more to be ours.
            XdpUnavailable: this process cannot use XDP.
        """
        try:
            gone = attachment.detach(self._host, name)
        except NoInterface:
            if name not in self._wishes:
                raise
            gone = None
        except ForeignProgram:
            self._forget(name)
            raise
        self._forget(name)
        return gone

    def _forget(self, name: str) -> None:
        self._wishes.pop(name, None)
        self._rules.pop(name, None)
        self._yielded.pop(name, None)
        self.states.pop(name, None)
        if (held := self._held.pop(name, None)) is not None:
            held.close()
        if (kept := self._kept.pop(name, None)) is not None:
            kept.close()

    def held(self, name: str) -> Attachment | None:
        """What is attached to an interface by this owner."""
        return self._held.get(name)

    def program(self, name: str) -> Program | None:
        """The program and its tables on an interface, if it is attached."""
        held = self._held.get(name)
        return held.program if held is not None else None

    def close(self) -> None:
        """Let go of all: what is not pinned is detached."""
        for held in self._held.values():
            held.close()
        for program in self._kept.values():
            program.close()
        self._held.clear()
        self._kept.clear()

    def _looked(self, name: str, wish: Wish, found: Interface | None) -> Ownership:
        try:
            step = self._step(name, found)
            if step is Step.LET_GO:
                self._let_go(name)
                step = self._step(name, found)
            return self._done(name, wish, found, step)
        except X0Error as error:
            return self._ownership("refused", str(error), found)

    def _step(self, name: str, found: Interface | None) -> Step:
        held = self._held.get(name)
        return decide(
            self._sight(found),
            held.as_held() if held is not None else None,
            self._yielded.get(name),
        )

    def _sight(self, found: Interface | None) -> Sight:
        if found is None:
            return Sight(None)
        there = attachment.occupants(found)
        if not there:
            return Sight(found)
        own = next((one for one in there if one.ours), there[0])
        pin = attachment.pin_path(self._host, found, own.program_id)
        return Sight(found, own, pin is not None)

    def _done(self, name: str, wish: Wish, found: Interface | None, step: Step) -> Ownership:
        if step is Step.WAIT:
            return self._ownership("waiting", f"there is no interface {name}", None)
        if step is Step.YIELD:
            self._yield(name, found)
            return self._ownership("detached", "somebody detached it", found)
        if step is Step.REFUSE:
            self._refuse(name, found)
        if step is Step.RENEW:
            self._renew(name)
        elif step is Step.ATTACH:
            self._attach(name, wish)
        elif step is Step.ADOPT:
            self._take(name, attachment.adopt(self._host, name))
        return self._ownership("attached", "", found, self._held[name].attached)

    def _attach(self, name: str, wish: Wish) -> None:
        kept = self._kept.get(name)
        made = attachment.attach(
            self._host, name, wish.mode, pin=wish.pin, reused=kept, kept=wish.rules
        )
        self._take(name, made)

    def _take(self, name: str, made: Attachment) -> None:
        """Hold it, and no longer the tables of an interface of that name that is gone."""
        self._held[name] = made
        if (kept := self._kept.pop(name, None)) is not None:
            kept.close()

    def _renew(self, name: str) -> None:
        """Read the program that another process put in the place of ours."""
        held = self._held[name]
        there = attachment.own(interfaces.interface(name), f"{name} is not read")
        program = Program.of_id(there.program_id)
        held.program.close()
        held.program = program
        held.attached = attachment.described(self._host, name, program)

    def _let_go(self, name: str) -> None:
        """The interface is gone; its tables are kept for the one that comes in its place."""
        held = self._held.pop(name)
        held.unpin()
        held.release()
        self._kept[name] = held.program
        self._yielded.pop(name, None)

    def _yield(self, name: str, found: Interface | None) -> None:
        assert found is not None  # noqa: S101 - somebody detached it from one
        if (held := self._held.pop(name, None)) is not None:
            held.unpin()
            held.close()
        self._yielded[name] = found.index

    def _refuse(self, name: str, found: Interface | None) -> None:
        """Leave alone what is there.

        Raises:
            ForeignProgram: it is somebody else's.
            Conflict: it is this project's, held by another process.
        """
        assert found is not None  # noqa: S101 - it is occupied
        if (held := self._held.pop(name, None)) is not None:
            held.close()
        there = attachment.own(found, f"{name} is not taken")
        raise Conflict(
            f"{name} is not taken",
            f"another process of this project holds {there}",
            f"End that process, or `x0 xdp detach --interface {name}`.",
        )

    @staticmethod
    def _ownership(
        state: State, reason: str, found: Interface | None, attached: Attached | None = None
    ) -> Ownership:
        up, mtu = (found.up, found.mtu) if found is not None else (None, None)
        return Ownership(state, reason, attached, up, mtu)


def _said(name: str, before: Ownership | None, now: Ownership) -> list[str]:
    """What has changed about an interface, for people."""
    said = []
    if before is None or (before.state, before.reason) != (now.state, now.reason):
        said.append(f"{name} is {now.state}" + (f": {now.reason}" if now.reason else ""))
    elif before.attached != now.attached and now.attached is not None:
        said.append(f"{name} has program {now.attached.program_id} now")
    if before is not None and before.up is not None and now.up is not None:
        if before.up != now.up:
            said.append(f"{name} went {'up' if now.up else 'down'}")
        if before.mtu != now.mtu:
            said.append(f"the MTU of {name} is {now.mtu} now, and was {before.mtu}")
    return said
