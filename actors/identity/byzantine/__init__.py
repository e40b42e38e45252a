"""Protection of the mesh's link state against nodes that lie.

What holds with at most f lying nodes (`X0TTA6BL4_BYZANTINE_FAULTS`), who may do anything but break
signatures, and who may agree among themselves:

- Nobody speaks for another. An advertisement is believed only with its origin's signature
  (`claim`), each newer than the last; an old one is no news.
- Nobody invents links to honest nodes, or makes them cheaper. A link counts if both ends advertise
  it, at the dearer of the two costs. What remains to liars is the links between two of them, which
  they may claim at the least cost, if the map has such a link: so a route through liars costs
  at least what its honest ends say of every link that has an honest end. A single liar attracts
  nothing beyond its true place in the mesh.
- Nobody tells two stories. Two signed advertisements of one origin with one stamp and different
  contents are a proof (`proof`) that anybody can check. It is flooded like an advertisement and
  takes the place of all that the origin ever said under that key: none of its links counts, until
  an operator gives the node another key. It is everywhere within the bound of any news
  (`actors.topology.bound`) after two honest neighbours hold different stories.
- f liars accuse nobody away. Suspicion (`suspicion`) counts from f + 1 neighbours of the suspect
  on, and only while their signed advertisements renew it.
- Nobody drowns the truth. Before any signature is checked, claims wait in one place for each
  (sender, origin), which the sender alone can overwrite, and are checked in turn over senders
  (`admission`): a sender that floods delays itself.
- Nobody makes messages disappear. What is not delivered is sent again along node-disjoint paths,
  f + 1 of them in turn (`actors.mesh.multipath`), of which at least one has no liar.

What does not hold:

- A liar that hides its links takes them away; pairs may then have fewer than f + 1 disjoint paths.
  That is reported for each destination, and cannot be told from links that are not there.
- A liar may drop, delay and read what passes through it, and alter payloads. Messages carry no
  signature of their own: an altered copy that arrives first is taken for the message. Who needs
  more encrypts from end to end.
- A liar costs time: the first copy of a message may go through it.
- Nodes of one process share its keys and its word; the process itself is trusted with them.
- More than f liars: f + 1 may have an honest node quarantined for as long as they keep it up.
"""
