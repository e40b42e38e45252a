"""A private key is reachable by no attribute, pickle, log line or exception, nor in any object."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import copy
import gc
import pickle
import sys
import traceback
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from actors.identity.contract import IdentityFault
from actors.identity.errors import IdentityRefused
from actors.identity.holder import Holder
from actors.identity.private_key import PrivateKey, read_key
from actors.identity.workload_stream import WorkloadStream, system_moment
from actors.runtime import log
from tests.unit.identity.certificates import entry, message, new_key
from tests.unit.identity.scripted_api import ScriptedApi, until
from tests.unit.identity.test_workload_stream import FOREIGN, ROOT, leaf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.unit.identity.certificates import Signer


def canaries(key: Any) -> list[bytes]:
    """The secret of a key in the forms in which it could be found."""
    scalar = key.private_numbers().private_value
    raw = scalar.to_bytes(32, "big")
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    forms = [raw, raw[::-1], der, raw.hex().encode(), str(scalar).encode()]
    # Base64 of the middle of the key, whatever stands before it.
    return forms + [base64.b64encode(der[shift:])[8:48] for shift in range(3)]


def strings_in_memory() -> list[bytes]:
    """All texts and bytes that any object of this process refers to."""
    gc.collect()
    found: dict[int, bytes] = {}
    for one in gc.get_objects():
        for held in gc.get_referents(one):
            if isinstance(held, bytes | bytearray) and len(held) >= 32:
                found[id(held)] = bytes(held)
            elif isinstance(held, str) and len(held) >= 32:
                found[id(held)] = held.encode(errors="replace")
    return list(found.values())


def reachable(start: object, limit: int = 200_000) -> Iterator[object]:
    """Whatever attributes, items and slots lead to, module globals and classes apart."""
    seen: set[int] = set()
    todo = [start]
    while todo and len(seen) < limit:
        one = todo.pop()
        if id(one) in seen or isinstance(one, type) or type(one).__name__ == "module":
            continue
        seen.add(id(one))
        yield one
        if isinstance(one, dict):
            todo += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple | set | frozenset):
            todo += list(one)
        slots = [name for kind in type(one).__mro__ for name in getattr(kind, "__slots__", ())]
        for name in [*slots, *getattr(one, "__dict__", {})]:
            with contextlib.suppress(AttributeError):
                todo.append(getattr(one, name))


async def supply(api: ScriptedApi, signer: Signer) -> Holder:
    """A holder that has gone through good and bad messages with one key."""
    holder = Holder(0.5, Random(1))
    stream = WorkloadStream(holder, api.endpoint, Random(2))
    api.svids.first = [message(entry(signer, ROOT.der))]
    async with api.running():
        task = asyncio.create_task(stream.run())
        await until(lambda: holder.held.generation)
        for bad in (
            message(entry(leaf(), ROOT.der, x509_svid_key=signer.pkcs8)),
            message(entry(signer, FOREIGN.der)),
            message(entry(signer, ROOT.der, x509_svid_key=signer.pkcs8[:-1])),
            message(entry(signer, ROOT.der, spiffe_id="spiffe://mesh.example/x")),
            b"\xff" + signer.pkcs8,
        ):
            before = sum(holder.faults.values())
            api.svids.say(bad)
            await until(lambda before=before: sum(holder.faults.values()) > before)
        api.svids.first = []
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await until(lambda: not api.svids.followers)
    return holder


async def test_a_key_is_found_nowhere(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """After good and bad messages with it, a canary key is in no log, no answer and no object."""
    log.configure("DEBUG")
    signer = leaf()
    holder = await supply(ScriptedApi(tmp_path / "api.sock"), signer)
    now = system_moment()
    status = holder.status("a", "unix:///x", now, connected=True, retries=True)
    answers = (status, holder.public_chain(now), holder.bundle(None), holder.sign(b"x", "t", now))
    told = [pickle.dumps(answers), repr(answers).encode(), repr(holder.held).encode()]
    walked = [one for one in reachable(holder) if isinstance(one, bytes | str)]
    told += [one.encode() if isinstance(one, str) else one for one in walked]
    out, err = capfd.readouterr()
    told += [out.encode(), err.encode()]
    memory = strings_in_memory()
    assert "message refused" in out + err
    assert status.faults[IdentityFault.KEY_MISMATCH] == 1
    for canary in canaries(signer.key):
        assert not [one for one in told if canary in one]
        assert not [one for one in memory if canary in one]


def test_the_search_would_find_a_key() -> None:
    """A key that lies open in an object, or in one that it refers to, is found."""
    key = new_key()

    class Careless:
        def __init__(self) -> None:
            self.inner = {"key": [canaries(key)[2]]}

    careless = Careless()
    assert canaries(key)[2] in list(reachable(careless))
    assert any(canaries(key)[0] in one for one in strings_in_memory())
    assert careless.inner


def test_a_key_refuses_to_leave_its_process() -> None:
    """It can be used where it lies; it cannot be pickled, copied or looked at."""
    signer = leaf()
    key = PrivateKey(signer.key)
    for leave in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="does not leave"):
            leave(key)
    holder = Holder(0.5, Random(1))
    holder.take_svids(message(entry(signer, ROOT.der)), system_moment())
    for whole in (holder, holder.held, holder.held.default):
        with pytest.raises(TypeError):
            pickle.dumps(whole)
    assert repr(key) == "<private key>"
    with pytest.raises(TypeError):
        vars(key)
    assert key.lend(lambda lent: lent.public_key()) == signer.key.public_key()


def test_an_error_about_a_key_has_no_part_of_it() -> None:
    """Neither its text nor its causes, its pickle or its printed traceback."""
    signer = leaf()
    for wrong in (signer.pkcs8[:-1], signer.pkcs8 + b"x", b"\x30\x05" + signer.pkcs8):
        with pytest.raises(IdentityRefused) as caught:
            read_key(wrong, signer.certificate)
        error = caught.value
        assert error.__cause__ is None
        assert error.__context__ is None
        told = [pickle.dumps(error), "".join(traceback.format_exception(error)).encode()]
        for canary in canaries(signer.key):
            assert not [one for one in told if canary in one]
    assert sys.exc_info() == (None, None, None)
