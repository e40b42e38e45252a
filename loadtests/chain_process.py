"""One process of a forwarding chain: `python -m loadtests.chain_process DIRECTORY NUMBER`.

It is started by `loadtests.compare`, prints `ready`, waits for a line on stdin that says when to
begin, and prints its account when the time is up and everything has arrived.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from loadtests import chain_streams, chain_zmq
from loadtests.chain import Chain, Hops
from loadtests.chain_plan import ChainPlan
from loadtests.load_plan import Counters


def main(directory: Path, number: int) -> None:
    """Run one process of the chain whose plan is in `directory`."""
    plan = ChainPlan.read(directory)
    chain = Chain(
        number=number,
        hops=Hops.load(directory / "hops.npz"),
        counters=Counters(directory),
        window=plan.window,
        batch=plan.batch,
    )
    if plan.transport == "pyzmq":
        chain_zmq.run(plan, chain, directory)
    else:
        asyncio.run(chain_streams.run(plan, chain, directory))
    marks = [[m.count, int(m.distinct)] for m in chain.delivered]
    out = {"sent": chain.sent, "corrupt": chain.corrupt, "delivered": marks}
    print(json.dumps(out), flush=True)  # noqa: T201 - the answer to the parent


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
