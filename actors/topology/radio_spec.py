"""How a generated radio mesh is asked for: `radio:N` or `radio:N:SEED`. See `radio`.

Apart from `radio`, so that whoever only reads what a user wrote imports nothing slow.
"""

from __future__ import annotations

import re
from typing import Final

from actors.topology.errors import TopologyError

PREFIX: Final = "radio:"
MIN_NODES: Final = 2
MAX_NODES: Final = 50_000
MAX_SEED: Final = 2**63 - 1
DEFAULT_SEED: Final = 1
_SPEC: Final = re.compile(r"radio:([0-9]{1,20})(?::([0-9]{1,20}))?")


def parse(spec: str) -> tuple[int, int]:
    """Read `radio:N` or `radio:N:SEED` as (number of nodes, seed).

    Raises:
        TopologyError: `spec` has another form, or a number is out of range.
    """
    match = _SPEC.fullmatch(spec)
    if match is None:
        raise _refused(
            spec, "it is not radio:N or radio:N:SEED", "Write for example radio:144 or radio:144:7."
        )
    n_nodes, seed = int(match[1]), int(match[2] or DEFAULT_SEED)
    if not MIN_NODES <= n_nodes <= MAX_NODES:
        raise _refused(
            spec, f"{n_nodes} nodes are out of range", f"Ask for {MIN_NODES} to {MAX_NODES} nodes."
        )
    if seed > MAX_SEED:
        raise _refused(spec, "the seed is out of range", f"Give a seed of 0 to {MAX_SEED}.")
    return n_nodes, seed


def _refused(spec: str, why: str, remedy: str) -> TopologyError:
    return TopologyError(f"cannot make the topology {spec[:80]!a}", why, remedy, source=spec[:80])
