"""A holder takes what holds, keeps the last good SVID on all else, and says what was wrong."""

from __future__ import annotations

import threading
from random import Random
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from spiffe._proto import workload_pb2

from actors.identity.authority import Authority
from actors.identity.contract import IdentityFault, SvidState
from actors.identity.errors import IdentityRefused, NoIdentity
from actors.identity.holder import Holder, Source
from actors.identity.lifecycle import Moment
from actors.identity.signing import verify
from actors.identity.workload_message import MOST_SVIDS, read_x509_context
from actors.identity.x509_reading import read_der_chain
from actors.runtime.errors import InvalidInput
from tests.examples import share
from tests.unit.identity.certificates import (
    AUTHORITY,
    ID,
    NOW,
    Rules,
    entry,
    issue,
    message,
    revoked,
    root,
    with_times,
)

ROOT, FOREIGN = root(), root("foreign")
LEAF = issue(ROOT)
OTHER = "spiffe://mesh.example/host/b"
START = Moment(NOW, 100.0)


def good(rules: Rules | None = None) -> workload_pb2.X509SVIDResponse:
    return message(entry(issue(ROOT, rules), ROOT.der))


def entry_of(**wrong: Any) -> workload_pb2.X509SVIDResponse:
    return message(entry(LEAF, ROOT.der, **wrong))


def pkcs8_of_another() -> bytes:
    return issue(ROOT).pkcs8


BAD: dict[str, tuple[workload_pb2.X509SVIDResponse | None, IdentityFault]] = {
    "unreadable": (None, IdentityFault.MALFORMED_MESSAGE),
    "empty list": (message(), IdentityFault.NO_SVID),
    "no id": (entry_of(spiffe_id=""), IdentityFault.MISSING_FIELD),
    "no certificate": (entry_of(x509_svid=b""), IdentityFault.MISSING_FIELD),
    "no key": (entry_of(x509_svid_key=b""), IdentityFault.MISSING_FIELD),
    "no bundle": (entry_of(bundle=b""), IdentityFault.MISSING_FIELD),
    "bad DER": (entry_of(x509_svid=b"\x30\x82noise"), IdentityFault.MALFORMED_CERTIFICATE),
    "bad key": (entry_of(x509_svid_key=b"noise"), IdentityFault.MALFORMED_KEY),
    "foreign key": (entry_of(x509_svid_key=pkcs8_of_another()), IdentityFault.KEY_MISMATCH),
    "bad bundle": (entry_of(bundle=b"noise"), IdentityFault.MALFORMED_BUNDLE),
    "foreign CA": (entry_of(bundle=FOREIGN.der), IdentityFault.UNTRUSTED),
    "other id": (entry_of(spiffe_id=OTHER), IdentityFault.ID_MISMATCH),
    "bad id": (entry_of(spiffe_id="mesh"), IdentityFault.BAD_SPIFFE_ID),
    "expired": (good(with_times(Rules(), NOW - 20, NOW - 10)), IdentityFault.EXPIRED),
    "not yet": (good(with_times(Rules(), NOW + 900, NOW + 999)), IdentityFault.NOT_YET_VALID),
    "leaf is CA": (good(Rules(ca=True)), IdentityFault.LEAF_IS_CA),
    "second is bad": (
        message(entry(LEAF, ROOT.der), entry(LEAF, ROOT.der, x509_svid_key=b"noise")),
        IdentityFault.MALFORMED_KEY,
    ),
    "revoked": (
        workload_pb2.X509SVIDResponse(svids=[entry(LEAF, ROOT.der)], crl=[revoked(ROOT, LEAF)]),
        IdentityFault.REVOKED,
    ),
    "CRL noise": (
        workload_pb2.X509SVIDResponse(svids=[entry(LEAF, ROOT.der)], crl=[b"noise"]),
        IdentityFault.MALFORMED_MESSAGE,
    ),
    "federated noise": (
        message(entry(LEAF, ROOT.der), far=b"noise"),
        IdentityFault.MALFORMED_BUNDLE,
    ),
    "federated path": (
        workload_pb2.X509SVIDResponse(
            svids=[entry(LEAF, ROOT.der)], federated_bundles={"spiffe://far/x": FOREIGN.der}
        ),
        IdentityFault.BAD_SPIFFE_ID,
    ),
    "long hint": (entry_of(hint="x" * 1025), IdentityFault.TOO_LARGE),
    "too many": (
        message(*[entry(LEAF, ROOT.der)] * (MOST_SVIDS + 1)),
        IdentityFault.TOO_LARGE,
    ),
}


@pytest.fixture
def holder() -> Holder:
    return Holder(0.5, Random(1))


def status(holder: Holder, now: Moment = START) -> Any:
    return holder.status("a", "unix:///x", now, connected=True, retries=True)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_message_costs_itself_alone(holder: Holder, name: str) -> None:
    """The last good SVID stays in use; the status tells the fault, and counts it; the next good
    message ends it."""
    bad, fault = BAD[name]
    holder.take_svids(message(entry(LEAF, ROOT.der)), START)
    before = holder.held
    assert not holder.take_svids(bad, START)
    assert holder.held is before
    told = status(holder)
    assert told.last_fault.fault is fault
    assert told.faults == {fault: 1}
    assert told.state is SvidState.FRESH
    holder.sign(b"x", "test", START)
    assert holder.take_svids(good(), START)
    told = status(holder)
    assert told.last_fault is None
    assert told.faults == {fault: 1}


def test_no_fault_tells_a_byte_of_a_message(holder: Holder) -> None:
    """Keys and certificates of a refused message are not in what is said of it."""
    for bad, _ in BAD.values():
        holder.take_svids(bad, START)
        why = status(holder).last_fault.why
        assert "noise" not in why
        assert "\\x" not in why


@given(st.data())
def test_a_damaged_message_is_refused_or_holds(data: st.DataObject) -> None:
    """Whatever bytes are changed, nothing fails, and what is accepted proves who signed."""
    holder = Holder(0.5, Random(1))
    content = bytearray(message(entry(LEAF, ROOT.der), far=FOREIGN.der).SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        damaged = workload_pb2.X509SVIDResponse.FromString(bytes(content))
    except DecodeError:
        damaged = None
    if holder.take_svids(damaged, START):
        signed = holder.sign(b"x", "test", START)
        assert verify(signed, b"x", "test", holder.held.bundles, NOW)
        assert signed.chain == (LEAF.der,)
    else:
        assert holder.held.generation == 0
        assert sum(holder.faults.values()) == 1


def test_before_the_first_svid_there_is_none(holder: Holder) -> None:
    """Absent is told from expired: there is no state, no time and no generation."""
    told = status(holder)
    assert (told.state, told.svids, told.renew_at, told.generation) == (None, (), None, 0)
    for ask in (
        lambda: holder.sign(b"x", "test", START),
        lambda: holder.public_chain(START),
        lambda: holder.bundle(None),
    ):
        with pytest.raises(NoIdentity) as caught:
            ask()
        assert caught.value.fault is None


def test_the_reason_for_having_none_is_told(holder: Holder) -> None:
    """Who asks in vain learns what is in the way."""
    holder.take_svids(BAD["foreign CA"][0], START)
    with pytest.raises(NoIdentity, match="no path leads") as caught:
        holder.sign(b"x", "test", START)
    assert caught.value.fault is IdentityFault.UNTRUSTED


def test_nothing_is_signed_once_the_svid_has_ended(holder: Holder) -> None:
    """The last second counts, on either clock."""
    holder.take_svids(good(with_times(Rules(), NOW - 10, NOW + 10)), START)
    holder.sign(b"x", "test", Moment(NOW + 9.99, 109.99))
    for now in (Moment(NOW + 10, 110.0), Moment(NOW + 10, 101.0), Moment(NOW - 50, 110.0)):
        assert holder.state(now) is SvidState.EXPIRED
        with pytest.raises(NoIdentity, match="expired"):
            holder.sign(b"x", "test", now)
        with pytest.raises(NoIdentity):
            holder.public_chain(now)


def test_a_denied_identity_is_not_used_until_it_is_given_again(holder: Holder) -> None:
    """PERMISSION_DENIED stops all use; the same SVID, given again, ends that."""
    same = good()
    holder.take_svids(same, START)
    holder.deny("the Workload API answered PERMISSION_DENIED", START)
    denied = holder.held.generation
    assert holder.state(START) is SvidState.REVOKED
    with pytest.raises(NoIdentity, match="denies") as caught:
        holder.sign(b"x", "test", START)
    assert caught.value.fault is IdentityFault.PERMISSION_DENIED
    assert not holder.take_svids(BAD["expired"][0], START)
    assert holder.state(START) is SvidState.REVOKED
    holder.deny("again", START)
    assert holder.held.generation == denied
    holder.take_svids(same, START)
    assert holder.state(START) is SvidState.FRESH
    assert holder.held.generation == denied + 1
    assert holder.renewals == 0


def test_renewed_means_another_serial_or_end(holder: Holder) -> None:
    """The first SVID, the same one again and another bundle are no renewals."""
    first = issue(ROOT)
    holder.take_svids(message(entry(first, ROOT.der)), START)
    holder.take_svids(message(entry(first, ROOT.der)), START)
    assert (holder.renewals, holder.held.generation) == (0, 1)
    holder.take_svids(message(entry(first, ROOT.der + FOREIGN.der)), START)
    assert (holder.renewals, holder.held.generation) == (0, 2)
    holder.take_svids(good(), START)
    assert (holder.renewals, holder.held.generation) == (1, 3)


def test_the_same_svid_again_does_not_begin_its_life_anew(holder: Holder) -> None:
    """What is due stays due when the server only repeats itself, and the jitter is not redrawn."""
    same = good(with_times(Rules(), NOW, NOW + 100))
    holder.take_svids(same, START)
    renew_at = status(holder).renew_at
    late = Moment(NOW + 60, 160.0)
    holder.take_svids(same, late)
    assert status(holder, late).renew_at == renew_at
    assert holder.state(late) is SvidState.DUE


def test_a_message_replaces_all_that_came_before(holder: Holder) -> None:
    """A trust domain that is not named any more is not trusted any more (rule 3)."""
    holder.take_svids(message(entry(LEAF, ROOT.der), far=FOREIGN.der), START)
    assert status(holder).trust_domains == ("mesh.example", "far.example")
    assert read_der_chain(holder.bundle("far.example").x509_authorities[0])
    holder.take_svids(message(entry(LEAF, ROOT.der)), START)
    assert status(holder).trust_domains == ("mesh.example",)
    with pytest.raises(IdentityRefused) as caught:
        holder.bundle("far.example")
    assert caught.value.fault is IdentityFault.UNKNOWN_TRUST_DOMAIN


def test_a_federated_trust_domain_without_authorities_is_not_trusted(holder: Holder) -> None:
    """An empty bundle is no fault, and trusts nobody."""
    assert holder.take_svids(message(entry(LEAF, ROOT.der), far=b""), START)
    assert status(holder).trust_domains == ("mesh.example",)


def test_a_federated_bundle_does_not_replace_the_own_one(holder: Holder) -> None:
    """The bundle of an SVID's own trust domain comes with the SVID alone."""
    holder.take_svids(
        workload_pb2.X509SVIDResponse(
            svids=[entry(LEAF, ROOT.der)], federated_bundles={"mesh.example": FOREIGN.der}
        ),
        START,
    )
    assert holder.bundle(None).x509_authorities == (ROOT.der,)


def test_the_first_svid_is_the_default_and_the_first_of_a_hint_counts() -> None:
    """Later SVIDs with a hint that was given already are passed over (rule 4)."""
    second = issue(ROOT, Rules(uris=(OTHER,)))
    read = read_x509_context(
        message(
            entry(LEAF, ROOT.der, hint="internal"),
            entry(second, ROOT.der, spiffe_id=OTHER, hint="internal"),
            entry(second, ROOT.der, spiffe_id=OTHER, hint="external"),
            entry(second, ROOT.der, spiffe_id=OTHER),
            entry(LEAF, ROOT.der),
        ),
        NOW,
    )
    told = [(str(one.svid.spiffe_id), one.svid.hint) for one in read.credentials]
    assert told == [(ID, "internal"), (OTHER, "external"), (OTHER, ""), (ID, "")]


def test_the_svid_that_ends_first_decides_when_to_ask(holder: Holder) -> None:
    """Each SVID has a life of its own; one that ends is not used while others go on."""
    short = issue(ROOT, with_times(Rules(uris=(OTHER,)), NOW, NOW + 100))
    holder.take_svids(
        message(
            entry(LEAF, ROOT.der),
            entry(short, ROOT.der, spiffe_id=OTHER, hint="short"),
        ),
        START,
    )
    assert holder.wake_in(START) == pytest.approx(5)
    assert holder.left(START) == pytest.approx(100)
    late = Moment(NOW + 60, 160.0)
    assert holder.state(late) is SvidState.FRESH
    assert holder.asks(late)
    assert str(holder.usable(late, "short")[1].svid.spiffe_id) == OTHER
    assert str(holder.usable(late, "unknown")[1].svid.spiffe_id) == ID
    over = Moment(NOW + 100, 200.0)
    assert str(holder.usable(over)[1].svid.spiffe_id) == ID
    with pytest.raises(NoIdentity, match="expired"):
        holder.usable(over, "short")


def test_the_fault_of_the_svids_is_told_before_others(holder: Holder) -> None:
    """A newer fault of less weight does not hide it."""
    holder.fail(Source.SVIDS, IdentityFault.UNAVAILABLE, "gone", START)
    holder.fail(Source.JWT, IdentityFault.NO_SVID, "none", Moment(NOW + 5, 105.0))
    assert status(holder).last_fault.why == "gone"
    holder.well(Source.SVIDS)
    assert status(holder).last_fault.why == "none"


def test_what_is_signed_holds_for_its_context_alone(holder: Holder) -> None:
    """A signature proves who signed which bytes for what."""
    middle = issue(ROOT, AUTHORITY, name="middle")
    holder.take_svids(message(entry(issue(middle), ROOT.der)), START)
    bundles = {"mesh.example": [ROOT.certificate]}
    signed = holder.sign(b"payload", "beacon", START)
    assert str(verify(signed, b"payload", "beacon", bundles, NOW)) == ID
    for payload, context in (
        (b"payload2", "beacon"),
        (b"payload", "beaco"),
        (b"npayload", "beaco"),
    ):
        with pytest.raises(IdentityRefused) as caught:
            verify(signed, payload, context, bundles, NOW)
        assert caught.value.fault is IdentityFault.BAD_SIGNATURE
    with pytest.raises(IdentityRefused) as caught:
        verify(signed, b"payload", "beacon", {"mesh.example": [FOREIGN.certificate]}, NOW)
    assert caught.value.fault is IdentityFault.UNTRUSTED
    for payload, context in ((b"", ""), (b"", "x" * 256), (bytes(2**20 + 1), "x")):
        with pytest.raises(InvalidInput):
            holder.sign(payload, context, START)


def jwt_bundles(**domains: Authority) -> workload_pb2.JWTBundlesResponse:
    import json

    return workload_pb2.JWTBundlesResponse(
        bundles={
            f"spiffe://{name}.example": json.dumps(of.jwks()).encode()
            for name, of in domains.items()
        }
    )


def test_jwt_bundles_replace_each_other_as_a_whole(holder: Holder) -> None:
    """Tokens of each trust domain are checked by its keys, as the last good message gave them."""
    mesh, far = Authority.new("mesh.example", NOW), Authority.new("far.example", NOW)
    token = far.issue_jwt("spiffe://far.example/x", ["gateway"], NOW, 60)
    assert holder.take_jwt_bundles(jwt_bundles(mesh=mesh, far=far), START)
    assert holder.validate_jwt(token, "gateway", START).spiffe_id == "spiffe://far.example/x"
    for bad, fault in (
        (None, IdentityFault.MALFORMED_MESSAGE),
        (workload_pb2.JWTBundlesResponse(), IdentityFault.MISSING_FIELD),
        (
            workload_pb2.JWTBundlesResponse(bundles={"spiffe://far.example": b"noise"}),
            IdentityFault.MALFORMED_BUNDLE,
        ),
        (workload_pb2.JWTBundlesResponse(bundles={"Far": b"{}"}), IdentityFault.BAD_SPIFFE_ID),
    ):
        assert not holder.take_jwt_bundles(bad, START)
        assert holder.fault(Source.JWT_BUNDLES).fault is fault  # type: ignore[union-attr]
        assert holder.validate_jwt(token, "gateway", START)
    generation = holder.held.generation
    assert holder.take_jwt_bundles(jwt_bundles(mesh=mesh, far=far), START)
    assert holder.held.generation == generation
    assert holder.take_jwt_bundles(jwt_bundles(mesh=mesh), START)
    assert holder.held.generation == generation + 1
    assert holder.fault(Source.JWT_BUNDLES) is None
    with pytest.raises(IdentityRefused) as caught:
        holder.validate_jwt(token, "gateway", START)
    assert caught.value.fault is IdentityFault.UNKNOWN_TRUST_DOMAIN


def test_a_set_clock_is_told_and_makes_it_ask(holder: Holder) -> None:
    """The present SVID may be wrong for the new time, so a new one is asked for."""
    holder.take_svids(good(), START)
    assert not holder.asks(START)
    assert holder.asks(Moment(NOW - 3600, 101.0))
    told = status(holder)
    assert told.faults == {IdentityFault.CLOCK_JUMP: 1}
    assert "-3601" in told.last_fault.why
    assert not holder.asks(Moment(NOW - 3599, 102.0))


def test_subscribers_are_told_until_they_leave(holder: Holder) -> None:
    """A subscriber sees the new generation when it is told of it."""
    seen: list[tuple[int, int]] = []
    end = holder.subscribe(lambda generation: seen.append((generation, holder.held.generation)))
    holder.take_svids(good(), START)
    holder.take_svids(BAD["no key"][0], START)
    holder.deny("no", START)
    end()
    end()
    holder.take_svids(good(), START)
    assert seen == [(1, 1), (2, 2)]


def test_a_reader_in_another_thread_never_sees_half_of_an_update(holder: Holder) -> None:
    """While SVIDs of two workloads alternate, each signature is that of the chain beside it."""
    messages = [
        message(
            entry(issue(ROOT, Rules(uris=(name,))), by.der, spiffe_id=name)
            if by is ROOT
            else entry(issue(FOREIGN, Rules(uris=(name,))), by.der, spiffe_id=name)
        )
        for name, by in ((ID, ROOT), (OTHER, FOREIGN))
    ]
    holder.take_svids(messages[0], START)
    over = threading.Event()
    seen: list[tuple[str, int]] = []
    wrong: list[Exception] = []

    def read() -> None:
        while not over.is_set():
            try:
                signed = holder.sign(b"x", "test", START)
                root_of = ROOT if signed.spiffe_id == ID else FOREIGN
                verify(signed, b"x", "test", {"mesh.example": [root_of.certificate]}, NOW)
            except Exception as error:  # noqa: BLE001 - the main thread raises it
                wrong.append(error)
                return
            seen.append((signed.spiffe_id, signed.generation))

    reader = threading.Thread(target=read)
    reader.start()
    turn = 0
    while reader.is_alive() and len({one for _, one in seen}) < 20:
        turn += 1
        holder.take_svids(messages[turn % 2], START)
    over.set()
    reader.join()
    assert not wrong
    generations = [one for _, one in seen]
    assert generations == sorted(generations)
    assert all((name == ID) == (generation % 2 == 1) for name, generation in seen)


class HolderMachine(RuleBasedStateMachine):
    """A holder against what must hold whatever comes in whatever order."""

    def __init__(self) -> None:
        super().__init__()
        self.holder = Holder(0.5, Random(1))
        self.wall, self.monotonic = NOW, 100.0
        self.ends: tuple[float, float] | None = None  # wall, monotonic
        self.denied = False
        self.generation = 0
        self.serial: str | None = None

    @property
    def now(self) -> Moment:
        return Moment(self.wall, self.monotonic)

    @rule(length=st.integers(5, 600))
    def renew(self, length: int) -> None:
        begins = int(self.wall) - 5
        leaf = issue(ROOT_OF_ALL_TIME, with_times(Rules(), begins, begins + 5 + length))
        assert self.holder.take_svids(message(entry(leaf, ROOT_OF_ALL_TIME.der)), self.now)
        end = leaf.certificate.not_valid_after_utc.timestamp()
        self.ends = (end, self.monotonic + end - self.wall)
        self.denied = False
        self.serial = f"{leaf.certificate.serial_number:x}"
        assert self.holder.held.generation == self.generation + 1

    @rule(name=st.sampled_from([name for name in BAD if name != "not yet"]))
    def spoil(self, name: str) -> None:
        before = self.holder.held
        expected = BAD[name][1]
        count = self.holder.faults.get(expected, 0)
        self.holder.take_svids(BAD[name][0], self.now)
        assert self.holder.held is before
        if abs(self.wall - NOW) < 5:
            assert self.holder.faults[expected] == count + 1

    @rule()
    def deny(self) -> None:
        self.holder.deny("no", self.now)
        self.denied = True

    @rule(seconds=st.floats(0, 400))
    def wait(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds

    @rule(seconds=st.floats(-4000, 4000))
    def set_clock(self, seconds: float) -> None:
        self.wall += seconds

    @invariant()
    def generations_rise(self) -> None:
        generation = self.holder.held.generation
        assert generation >= self.generation
        self.generation = generation

    @invariant()
    def signs_only_with_what_holds(self) -> None:
        now = self.now
        margin = 1e-3
        usable = (
            self.ends is not None
            and not self.denied
            and min(self.ends[0] - now.wall, self.ends[1] - now.monotonic) > margin
        )
        try:
            signed = self.holder.sign(b"x", "test", now)
        except NoIdentity:
            assert not usable
            return
        assert self.ends is not None
        assert not self.denied
        assert now.wall < self.ends[0]
        assert now.monotonic < self.ends[1] + margin
        (leaf,) = read_der_chain(signed.chain[0])
        assert f"{leaf.serial_number:x}" == self.serial


ROOT_OF_ALL_TIME = root(rules=with_times(AUTHORITY, NOW - 10**7, NOW + 10**7))
HolderMachine.TestCase.settings = settings(max_examples=share(0.5), stateful_step_count=20)
TestHolderMachine = HolderMachine.TestCase
