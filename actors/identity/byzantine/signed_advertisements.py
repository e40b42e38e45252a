"""Believes an advertisement only with its origin's signature, and quarantines proven liars.

This is the `AdvertisementGuard` of `actors.mesh.guard`; what it guarantees is in the package's
docstring. It decides and remembers; signatures are checked elsewhere, by `VerifyJob.run()` in any
thread.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from actors.identity.byzantine.admission import Admission, Pace, Turn
from actors.identity.byzantine.claim import (
    MAX_NODES,
    MAX_RESTARTS,
    Form,
    encoded,
    generation_of,
    incarnation,
    is_quarantine,
)
from actors.identity.byzantine.proof import Story, contradict, evidence, proof
from actors.identity.byzantine.suspicion import SUSPICION_S, Suspicions
from actors.runtime.errors import ConfigurationError
from actors.topology.advertisement import Lsa

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from actors.identity.byzantine.watch import ByzantineWatch
    from actors.topology.model import Topology

CHECK_S: Final = 0.2e-3  # time to check a signature, generously
MAX_BUDGET: Final = 256  # claims in one job
MAX_CLAIMS: Final = 512  # of one frame that are looked at; an honest one has no more
HISTORY: Final = 4  # stories of each origin that are kept, so that a late contradiction is noticed


class SigningKeys(Protocol):
    """Knows the public keys of all nodes, and signs for those that are hosted here."""

    def attend(self, topology: Topology, hosted: Mapping[int, Sequence[int]]) -> None:
        """The map, and the nodes of each hosted partition (by its number), from now on."""
        ...

    def generation(self, node: int) -> int:
        """The generation of the key that a hosted node signs with."""
        ...

    def sign(self, node: int, message: bytes) -> bytes | None:
        """Signature with the key of a hosted node; None: it has no key that others accept."""
        ...

    def public(self, node: int, least: int) -> tuple[int, bytes] | None:
        """The Ed25519 public key of a node and its generation; None if none is known.

        If it is older than the generation `least`, there may be a newer one to look for.
        """
        ...

    def renew(self, node: int) -> None:
        """Give a hosted node the key of the next generation."""
        ...

    @property
    def without_key(self) -> list[str]:
        """Hosted nodes for which another key is enrolled."""
        ...


class Check(NamedTuple):
    """One signature to be checked."""

    public: bytes
    message: bytes
    signature: bytes

    def holds(self) -> bool:
        """Whether the signature is that of the message."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(self.signature, self.message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class Claim:
    """An advertisement that somebody passed on, and what must hold for it to be believed."""

    senders: tuple[int, ...]
    lsa: Lsa
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class VerifyJob:
    """Claims to be checked; shares nothing that changes while it runs."""

    claims: tuple[Claim, ...]

    def run(self) -> list[bool]:
        """Which of them hold."""
        return [
            bool(claim.checks) and all(check.holds() for check in claim.checks)
            for claim in self.claims
        ]

    def __len__(self) -> int:
        """Number of signatures to be checked."""
        return sum(len(claim.checks) for claim in self.claims)


class Figures:
    """What has been counted since the start."""

    def __init__(self) -> None:
        self.believed = self.forged = self.malformed = 0


class SignedAdvertisements:
    """The guard of one host.

    Args:
        keys: signs for hosted nodes, and knows everybody's public keys.
        held: what the host's database holds of an origin.
        mesh: name of the mesh.
        faults: f, the number of lying nodes to withstand.
        hello_s: interval between Hellos, s; in it, an origin may change what it says four times.
        budget: number of claims in one job; by default such that it takes half an interval at most.
            News waits for the job under way and then its own, so for an interval at most.
        watch: is told what is found out; None: nobody is.
    """

    def __init__(
        self,
        keys: SigningKeys,
        held: Callable[[int], Lsa | None],
        *,
        mesh: str,
        faults: int,
        hello_s: float,
        budget: int | None = None,
        watch: ByzantineWatch | None = None,
    ) -> None:
        self.keys = keys
        self._watch = watch
        self._ids: tuple[str, ...] = ()
        self.figures = Figures()
        self.suspicions = Suspicions(faults)
        self._held = held
        self._mesh = mesh.encode()
        self._form: Form | None = None
        self._hosted: frozenset[int] = frozenset()
        self._admission = Admission()
        self._pace = Pace(hello_s)
        self._budget = budget or max(1, min(MAX_BUDGET, int(hello_s / 2 / CHECK_S)))
        self._stories: dict[int, dict[int, Lsa]] = {}  # origin → stamp → what it said
        self._proven: set[int] = set()
        self._accused: dict[int, dict[int, float]] = {}  # hosted node → suspect → until
        self._amended: set[int] = set()
        self._under_check: tuple[Claim, ...] = ()
        self._receiver: dict[int, int] = {}  # sender → the hosted node that heard it last
        self._incidents: list[tuple[str, int, int]] = []

    # -- the host's own nodes --------------------------------------------------------------------

    def attend(self, topology: Topology, hosted: Mapping[int, Sequence[int]]) -> None:
        """See `AdvertisementGuard.attend`.

        Raises:
            ConfigurationError: the mesh has more nodes than stamps have room for.
        """
        if topology.n_nodes > MAX_NODES:
            raise ConfigurationError(
                f"a mesh of {topology.n_nodes} nodes cannot be protected against liars",
                f"stamps of signed advertisements have room for {MAX_NODES}",
                "Unset X0TTA6BL4_BYZANTINE, or take a smaller network.",
                variable="X0TTA6BL4_BYZANTINE",
            )
        self._form = Form(topology)
        self._ids = topology.ids
        self._hosted = frozenset(node for nodes in hosted.values() for node in nodes)
        self.keys.attend(topology, hosted)

    def first_incarnation(self, node: int, restarts: int) -> int:
        """See `AdvertisementGuard.first_incarnation`.

        Raises:
            ConfigurationError: there were more restarts than a key has room for.
        """
        if restarts > MAX_RESTARTS:
            raise ConfigurationError(
                "the mesh has been restarted too often under its present keys",
                f"{restarts} times, and stamps have room for {MAX_RESTARTS}",
                "Remove the directory of its journals, and with it all messages in it.",
                variable="X0TTA6BL4_BYZANTINE",
            )
        return incarnation(self.keys.generation(node), restarts)

    def sign(self, lsa: Lsa, now: float) -> Lsa | None:
        """See `AdvertisementGuard.sign`."""
        if lsa.origin in self._proven:
            return None
        accused = self._accused.get(lsa.origin, {})
        suspects = {node for node, until in accused.items() if now < until}
        lsa = replace(lsa, suspects=tuple(sorted(suspects.union(lsa.suspects))))
        signature = self.keys.sign(lsa.origin, encoded(lsa, self._mesh))
        if signature is None:
            return None
        signed = replace(lsa, signature=signature)
        self._remember(signed)
        return signed

    def amended(self, now: float) -> list[int]:
        """See `AdvertisementGuard.amended`."""
        for node, accused in self._accused.items():
            over = [suspect for suspect, until in accused.items() if now >= until]
            if over:
                self._amended.add(node)
            for suspect in over:
                del accused[suspect]
        nodes = sorted(self._amended & self._hosted)
        self._amended = set()
        return nodes

    # -- what others say -------------------------------------------------------------------------

    def offer(self, lsas: Iterable[Lsa], sender: int, receiver: int, now: float) -> list[Lsa]:
        """See `AdvertisementGuard.offer`: all that may be news waits for its check."""
        for number, lsa in enumerate(lsas):
            if number == MAX_CLAIMS or self._form is None:
                break
            if lsa not in self._form:
                self.figures.malformed += 1
                self._strike(sender, receiver, now)
            elif self._matters(lsa):
                self._admission.put(sender, lsa)
                self._receiver[sender] = receiver
        return []

    def _matters(self, lsa: Lsa) -> bool:
        """Whether it is newer than what is believed, or contradicts it."""
        held = self._held(lsa.origin)
        if held is None or lsa.stamp > held.stamp:
            return True
        if is_quarantine(held):
            return False
        told = self._stories.get(lsa.origin, {}).get(lsa.stamp)
        return told is not None and contradict(told, lsa)

    @property
    def due(self) -> bool:
        """See `AdvertisementGuard.due`."""
        return bool(self._admission)

    def job(self, now: float) -> VerifyJob | None:
        """See `AdvertisementGuard.job`."""
        claims: dict[tuple[Lsa, bytes], Claim] = {}
        taken = self._admission.take(self._budget, lambda lsa: self._turn(lsa, now), now)
        for sender, lsa in taken:
            same = claims.get((lsa, lsa.signature))
            senders = (sender,) if same is None else (*same.senders, sender)
            checks = self._checks(lsa) if same is None else same.checks
            claims[lsa, lsa.signature] = Claim(senders, lsa, checks)
        self._under_check = tuple(claims.values())
        return VerifyJob(self._under_check) if claims else None

    def _turn(self, lsa: Lsa, now: float) -> Turn:
        if not self._matters(lsa):
            return Turn.DROP
        key = self.keys.public(lsa.origin, generation_of(lsa))
        if key is None or key[0] < generation_of(lsa):
            return Turn.WAIT  # until its key has come too
        if key[0] > generation_of(lsa):
            return Turn.DROP
        urgent = is_quarantine(lsa) or lsa.stamp in self._stories.get(lsa.origin, {})
        return Turn.CHECK if urgent or self._pace.allows(lsa.origin, now) else Turn.WAIT

    def _checks(self, lsa: Lsa) -> tuple[Check, ...]:
        """What must hold for an advertisement to be believed; empty: it cannot."""
        key = self.keys.public(lsa.origin, generation_of(lsa))
        stories: Sequence[Story] | None = (Story(encoded(lsa, self._mesh), lsa.signature),)
        if is_quarantine(lsa):
            stories = evidence(lsa, self._mesh)
        if key is None or stories is None:
            return ()
        return tuple(Check(key[1], story.content, story.signature) for story in stories)

    def install(self, verdicts: Sequence[bool], now: float) -> list[tuple[int, Lsa]]:
        """See `AdvertisementGuard.install`."""
        believed = []
        for claim, holds in zip(self._under_check, verdicts, strict=True):
            if holds:
                believed += self._believe(claim, now)
            else:
                self.figures.forged += 1
                for sender in claim.senders:
                    self._strike(sender, self._receiver[sender], now)
        self.figures.believed += len(believed)
        return believed

    def _believe(self, claim: Claim, now: float) -> list[tuple[int, Lsa]]:
        lsa = claim.lsa
        if is_quarantine(lsa):
            return [(claim.senders[0], lsa)]
        told = self._stories.get(lsa.origin, {}).get(lsa.stamp)
        if told is not None and contradict(told, lsa):
            return [(-1, proof(told, lsa, self._mesh))]
        held = self._held(lsa.origin)
        if told is None and (held is None or held.stamp < lsa.stamp):
            self._pace.spend(lsa.origin, now)
            self._remember(lsa)
            return [(claim.senders[0], lsa)]
        return []

    def _remember(self, lsa: Lsa) -> None:
        stories = self._stories.setdefault(lsa.origin, {})
        stories[lsa.stamp] = lsa
        while len(stories) > HISTORY:
            del stories[min(stories)]

    def _strike(self, sender: int, receiver: int, now: float) -> None:
        """`sender` has passed on to the hosted `receiver` what no honest node passes on."""
        self._admission.strike(sender, now)
        accused = self._accused.setdefault(receiver, {})
        # Renewed when half of it is over, so that a flood does not make us advertise without end.
        if accused.get(sender, 0.0) < now + SUSPICION_S / 2:
            if sender not in accused:
                self._incidents.append(("forgery", sender, receiver))
            accused[sender] = now + SUSPICION_S
            self._amended.add(receiver)

    # -- what routes are computed from -----------------------------------------------------------

    def routable(self, news: Sequence[Lsa], now: float) -> list[Lsa]:
        """See `AdvertisementGuard.routable`: nothing of who is quarantined counts."""
        changed: set[int] = set()
        for lsa in news:
            if is_quarantine(lsa):
                self._quarantine(lsa.origin)
            elif lsa.origin in self._proven:
                self._proven.discard(lsa.origin)
                self._incidents.append(("cleared", lsa.origin, -1))
            changed |= self._told_suspects(lsa, now)
        told = {lsa.origin for lsa in news}
        return [self._shown(lsa) for lsa in news] + self._changed(changed - told)

    def _told_suspects(self, lsa: Lsa, now: float) -> set[int]:
        assert self._form is not None  # noqa: S101 - attended before anything is merged
        around = self._form.neighbours_of(lsa.origin)
        suspects = [node for node in lsa.suspects if node in around]
        return self.suspicions.report(lsa.origin, lsa.stamp, suspects, now)

    def _quarantine(self, node: int) -> None:
        if node not in self._proven:
            self._proven.add(node)
            self._incidents.append(("quarantined", node, -1))

    def lapse(self, now: float) -> list[Lsa]:
        """See `AdvertisementGuard.lapse`."""
        return self._changed(self.suspicions.lapse(now))

    def _changed(self, nodes: Iterable[int]) -> list[Lsa]:
        out = []
        for node in sorted(nodes):
            suspected = node in self.suspicions.confirmed
            self._incidents.append(("suspected" if suspected else "unsuspected", node, -1))
            held = self._held(node)
            if held is not None:
                out.append(self._shown(held))
        return out

    def _shown(self, lsa: Lsa) -> Lsa:
        if lsa.origin in self.suspicions.confirmed:
            return Lsa(lsa.origin, lsa.incarnation, lsa.sequence)
        return lsa

    # -- operators -------------------------------------------------------------------------------

    @property
    def proven(self) -> frozenset[int]:
        """The nodes in quarantine because of a proof."""
        return frozenset(self._proven)

    @property
    def waiting(self) -> int:
        """Claims that wait for their check."""
        return len(self._admission)

    def incidents(self) -> list[tuple[str, int, int]]:
        """See `AdvertisementGuard.incidents`."""
        found, self._incidents = self._incidents, []
        if self._watch is not None:
            for kind, node, other in found:
                teller = self._ids[other] if other >= 0 else ""
                self._watch.happened(kind, self._ids[node], teller)
            self._watch.publish(
                vars(self.figures),
                quarantined=len(self._proven | self.suspicions.confirmed),
                waiting=self.waiting,
            )
        return found

    def clear(self, nodes: Iterable[int]) -> list[int]:
        """See `AdvertisementGuard.clear`."""
        cleared = [node for node in nodes if node in self._proven and node in self._hosted]
        for node in cleared:
            self.keys.renew(node)
            self._proven.discard(node)
            self._stories.pop(node, None)
            self._incidents.append(("cleared", node, -1))
        return cleared

    def report(self, now: float) -> dict[str, Any]:
        """See `AdvertisementGuard.report`."""
        suspected = self.suspicions.confirmed
        return {
            "proven": sorted(self._ids[node] for node in self._proven),
            "suspected": {
                self._ids[node]: {
                    "by": [self._ids[each] for each in self.suspicions.reporters(node, now)],
                    "for_s": round(max(0.0, self.suspicions.until(node) - now), 1),
                }
                for node in sorted(suspected)
            },
            "without_key": self.keys.without_key,
            "waiting": self.waiting,
            **vars(self.figures),
        }
