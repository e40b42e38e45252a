"""One process of a forwarding chain: `python -m loadtests.chain_process DIRECTORY NUMBER`.

It is started by `loadtests.compare_chains`, reads its plan and its tables from a file, prints
`ready`, waits for a line on stdin that says when to begin, and prints its account when the time is
up and everything has arrived.
"""

from __future__ import annotations

import asyncio
import json
import pickle
import sys
from pathlib import Path

from loadtests import chain_streams, chain_zmq
from loadtests.chain import ChainPlan, ForwardingChain, Hops
from loadtests.load_plan import Counters

PLAN = "plan"  # name of the file with plan and tables


def main(directory: Path, number: int) -> None:
    """Run one process of the chain whose plan is in `directory`."""
    plan: ChainPlan
    hops: Hops
    plan, hops = pickle.loads((directory / PLAN).read_bytes())  # noqa: S301 - its parent wrote it
    chain = ForwardingChain(number, hops, Counters(directory), plan.window, plan.batch)
    if plan.transport == "pyzmq":
        chain_zmq.run(plan, chain, directory)
    else:
        asyncio.run(chain_streams.run(plan, chain, directory))
    delivered = [[some.count, some.distinct] for some in chain.delivered]
    out = {"sent": chain.sent, "corrupt": chain.corrupt, "delivered": delivered}
    print(json.dumps(out), flush=True)  # noqa: T201 - the answer to the parent


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
