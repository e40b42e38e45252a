"""What callers in other processes learn of an identity's faults."""

from __future__ import annotations

import pickle

import pytest

from actors.identity.contract import IdentityFault, JwtSvid, identity_actor
from actors.identity.errors import IdentityRefused, NoIdentity


@pytest.mark.parametrize(
    "error",
    [
        IdentityRefused(IdentityFault.EXPIRED, "it ended 5 s ago", entry="svids[0]"),
        NoIdentity("it is revoked", IdentityFault.PERMISSION_DENIED),
        NoIdentity("none has come yet"),
    ],
)
def test_an_error_crosses_processes(error: IdentityRefused | NoIdentity) -> None:
    """An error keeps its fault and its words."""
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - made here
    assert type(copy) is type(error)
    assert (copy.fault, str(copy)) == (error.fault, str(error))


def test_a_token_is_not_shown() -> None:
    """The representation of a JWT-SVID, which logs may hold, has no token in it."""
    shown = repr(JwtSvid("secret.token.here", "spiffe://a.example/b", ("c",), 1.0))
    assert "secret" not in shown
    assert "spiffe://a.example/b" in shown


def test_the_actor_has_the_name_of_its_host() -> None:
    """Whatever a host is called, its actor has a name that Ray takes."""
    assert identity_actor("köln_1.example") == "identity-k-ln-1-example"
    assert len(identity_actor("x" * 300)) == 100
