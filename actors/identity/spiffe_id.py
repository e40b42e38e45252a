"""SPIFFE IDs: URIs that name a workload within a trust domain.

Source: SPIFFE-ID, section 2. The standard is stricter than RFC 3986: no user, port, query, fragment
or percent-encoding, and no segment that a path resolver would change. What this module accepts is
canonical, so two IDs are the same if their texts are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from actors.identity.contract import IdentityFault
from actors.identity.errors import IdentityRefused

SCHEME: Final = "spiffe://"
LONGEST: Final = 2048  # bytes of an ID
LONGEST_TRUST_DOMAIN: Final = 255  # bytes
_TRUST_DOMAIN: Final = re.compile(r"[a-z0-9._-]+")
_SEGMENT: Final = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True, order=True)
class SpiffeId:
    """A name in a trust domain.

    Attributes:
        trust_domain: such as "mesh.example".
        path: such as "/host/a"; "" for the trust domain itself.
    """

    trust_domain: str
    path: str

    def __str__(self) -> str:
        return f"{SCHEME}{self.trust_domain}{self.path}"

    @classmethod
    def parse(cls, text: str) -> SpiffeId:
        """Read an ID.

        Raises:
            IdentityRefused: it breaks a rule of the standard (`BAD_SPIFFE_ID`).
        """
        if not text.startswith(SCHEME):
            raise _bad("it does not begin with spiffe://")
        if len(text) > LONGEST:  # any character that is more than a byte is refused below
            raise _bad(f"it has {len(text)} characters; {LONGEST} is the limit")
        domain, slash, rest = text.removeprefix(SCHEME).partition("/")
        _check_trust_domain(domain)
        for segment in rest.split("/") if slash else ():
            if segment in {"", ".", ".."}:
                raise _bad("its path has a segment that is empty, . or ..")
            if not _SEGMENT.fullmatch(segment):
                raise _bad("its path has a character other than a-z A-Z 0-9 . _ -")
        return cls(domain, f"{slash}{rest}")


def parse_trust_domain(text: str) -> str:
    """Read a trust domain's name, or the ID that a trust domain itself has.

    Raises:
        IdentityRefused: it breaks a rule of the standard, or the ID has a path (`BAD_SPIFFE_ID`).
    """
    if not text.startswith(SCHEME):
        _check_trust_domain(text)
        return text
    read = SpiffeId.parse(text)
    if read.path:
        raise _bad("the ID of a trust domain has no path")
    return read.trust_domain


def _check_trust_domain(name: str) -> None:
    if not _TRUST_DOMAIN.fullmatch(name):
        raise _bad("its trust domain is empty or has a character other than a-z 0-9 . _ -")
    if len(name) > LONGEST_TRUST_DOMAIN:
        raise _bad(
            f"its trust domain has {len(name)} characters; {LONGEST_TRUST_DOMAIN} is the limit"
        )


def _bad(why: str) -> IdentityRefused:
    return IdentityRefused(IdentityFault.BAD_SPIFFE_ID, f"it has a bad SPIFFE ID: {why}")
