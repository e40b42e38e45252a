"""The living mesh: neighbours, link-state synchronisation, routing and messages.

The protocol core is synchronous and does no IO: `host.py` composes it, `actor.py` runs it as a Ray
actor, `simulator.py` runs the same objects in virtual time. Read in this order: `batch`, `medium`,
`neighbours`, `node`, `lsdb`, `sync`, `router`, `arq`, `forwarder`, `message_outbox`,
`message_inbox`, `journal`, `partition`, `exchange`, `host`. Where nodes may lie: `guard`,
`multipath`, `screening`; and those that do: `lies`, `lying_host`.
"""
