"""Trust bundles of other trust domains, as their operators hand them over: one file each.

A file is called by its trust domain, `mesh.example.json`, and holds a SPIFFE bundle document
(SPIFFE Trust Domain and Bundle, section 4). One that cannot be used costs that trust domain alone.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from actors.identity.bundles import read_jwks
from actors.identity.errors import IdentityRefused
from actors.identity.spiffe_id import parse_trust_domain

if TYPE_CHECKING:
    from pathlib import Path

LARGEST: Final = 2**20  # bytes of a document
MOST: Final = 256  # documents
SUFFIX: Final = ".json"


@dataclass(frozen=True, slots=True)
class ForeignBundle:
    """What vouches for the identities of another trust domain.

    Attributes:
        x509_authorities: certificates, DER.
        jwks: keys of JWT-SVIDs, a JWK Set.
    """

    x509_authorities: tuple[bytes, ...]
    jwks: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Federation:
    """The bundles that could be read.

    Attributes:
        bundles: by name of the trust domain.
        refused: why not, of files that cannot be used, by name of the file.
    """

    bundles: dict[str, ForeignBundle]
    refused: dict[str, str]


def read(directory: Path, own: str) -> Federation:
    """The bundles of a directory, which need not exist.

    Args:
        directory: of the files.
        own: name of the own trust domain, which is none of them.
    """
    bundles: dict[str, ForeignBundle] = {}
    refused: dict[str, str] = {}
    paths = sorted(directory.glob(f"*{SUFFIX}")) if directory.is_dir() else []
    for path in paths[:MOST]:
        name = path.name.removesuffix(SUFFIX)
        if name == own:
            refused[path.name] = "it is called as the own trust domain"
            continue
        try:
            parse_trust_domain(name)
            with path.open("rb") as file:
                bundles[name] = of_document(file.read(LARGEST + 1))
        except IdentityRefused as error:
            refused[path.name] = error.why
        except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
            refused[path.name] = f"it is no SPIFFE bundle document: {error}"
    for path in paths[MOST:]:
        refused[path.name] = f"there are more than {MOST} files"
    return Federation(bundles, refused)


def of_document(content: bytes) -> ForeignBundle:
    """The bundle of a document.

    Raises:
        ValueError, TypeError, LookupError, AttributeError: it is none.
        IdentityRefused: a key of JWT-SVIDs cannot be read.
    """
    if len(content) > LARGEST:
        raise ValueError(f"it has more than {LARGEST} bytes")
    keys = json.loads(content)["keys"]
    certificates = [
        x509.load_der_x509_certificate(base64.b64decode(key["x5c"][0], validate=True))
        for key in keys
        if key.get("use") == "x509-svid"
    ]
    tokens = [
        {name: text for name, text in key.items() if name != "use"}
        for key in keys
        if key.get("use") == "jwt-svid" and key.get("kid")
    ]
    if not certificates and not tokens:
        raise ValueError("it has no keys of SVIDs")
    read_jwks(json.dumps({"keys": tokens}).encode())
    return ForeignBundle(
        tuple(each.public_bytes(Encoding.DER) for each in certificates), {"keys": tokens}
    )
