"""What respondd's nodes have said, as a reading of the network.

A node is online if one of its last answers still holds (`respondd_book.PATIENCE` polls); what it
said of its links then holds too. One that was heard lately and no longer answers is listed as
offline, without links of its own: what its neighbours hear of it is theirs to say.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from actors.observe.sources.respondd_datagram import PORT
from actors.topology.formats import respondd
from actors.topology.network import LeftOut

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from actors.observe.sources.respondd_book import Peer, RespondentBook
    from actors.observe.sources.respondd_datagram import Answer, UnreadableAnswer
    from actors.topology.network import Reading

NOT_ASKED: Final = "addresses that could not be asked"


@dataclass(frozen=True, slots=True)
class Told:
    """A copy of what is known after a poll, for another thread.

    Attributes:
        responses: address and answer of each node, with yanic's fields `online` and `lastseen`.
        left_out: addresses of which nothing could be used in this poll.
        counts: answers that were not used as they came, by reason.
        heard: number of nodes that answered in this poll.
        silent: number of nodes that were heard lately, and did not.
    """

    responses: tuple[tuple[str, Answer], ...]
    left_out: tuple[LeftOut, ...]
    counts: Mapping[str, int]
    heard: int
    silent: int

    @classmethod
    def of(cls, book: RespondentBook, failed: Mapping[Peer, str]) -> Told:
        """What a book holds.

        Args:
            book: the book, after a poll.
            failed: why the request could not be sent, by address.
        """
        responses = [
            (shown(one.peer), {**one.sections, "online": True, "lastseen": one.at})
            for one in book.current()
        ]
        for one in book.silent():
            sections = {k: v for k, v in one.sections.items() if k != "neighbours"}
            responses.append((shown(one.peer), {**sections, "online": False, "lastseen": one.at}))
        unreadable = [_left_out(peer, fault) for peer, fault in book.unreadable()]
        not_asked = [LeftOut(NOT_ASKED, shown(peer), why) for peer, why in failed.items()]
        return cls(
            tuple(responses),
            (*unreadable, *not_asked),
            dict(book.counts),
            book.heard_now,
            len(book.current()) + len(book.silent()) - book.heard_now,
        )


def read(source: str, told: Told) -> Reading:
    """The network.

    Raises:
        TopologyError: no answer has a node in it.
    """
    reading = respondd.read_responses(told.responses, source)
    times = [node.seen_at for node in reading.nodes if node.seen_at is not None]
    return replace(
        reading,
        records=reading.records + len(told.left_out),
        left_out=(*reading.left_out, *told.left_out),
        notes=(*reading.notes, *_notes(told)),
        made_at=max(times, default=None),
    )


def _left_out(peer: Peer, fault: UnreadableAnswer) -> LeftOut:
    return LeftOut(fault.reason, shown(peer), fault.why)


def _notes(told: Told) -> Iterator[str]:
    yield f"{told.heard:,} nodes answered this poll, {told.silent:,} that are known did not."
    if told.counts:
        said = ", ".join(f"{count:,} {reason}" for reason, count in sorted(told.counts.items()))
        yield f"Not used as they came: {said}."


def shown(peer: Peer) -> str:
    """An address as people write it: `fe80::7%mesh0`, with its port if that is another one."""
    host = peer.host
    if peer.scope:
        try:
            host = f"{host}%{socket.if_indextoname(peer.scope)}"
        except OSError:  # the interface has gone
            host = f"{host}%{peer.scope}"
    if peer.port == PORT:
        return host
    return f"[{host}]:{peer.port}" if ":" in host else f"{host}:{peer.port}"
