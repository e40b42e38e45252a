"""The digital twin: what a failure would cost, answered exactly and checked against what happens.

Design. One immutable `Topology`; a failure is a set of its nodes and links, and nothing is ever
renumbered. `Intact` holds a mesh, its conditions and what is computed of it once; every question is
a function of it, and every answer a type of `results`, which turns into JSON. One idea a module:

    conditions    Hello interval, retries, traffic, capacities
    intact        the mesh before anything fails
    failure       names of nodes and links to a checked set of them
    partitions    the components that many failed sets leave, all at once
    internet      who reaches a gateway, and whom each single failure cuts off
    ranking       which failure costs more
    single        every single failure exactly; ranking; the worst pairs of nodes
    doubles       every failure of two at once, and what both together cost
    block_graphs  what a node and one thing more separate, block by block
    link_pairs    which two links separate what neither alone does
    impact        one failed set, in all its consequences
    loss          routes, what is lost on them during and after convergence, load of links
    sets          random k-failures, shared risks, cascades; with confidence intervals
    availability  from MTBF and MTTR, by Monte Carlo or by enumeration
    interval      confidence intervals of what was drawn
    advice        the links whose addition removes most lost pairs
    placing       where the best of them goes
    spans         which two nodes a link could join: distances, places, tunnels
    scenario      questions as a YAML file
    answer        answers to all questions of a scenario
    comparison    prediction beside the measurements of a drill
    picture       the mesh drawn, with what is lost marked
    layout        drawing positions of nodes without known ones
    labels        positions of their names
    progress      progress of long work, reported to a watcher that may end it
    reply         an answer, the mesh that it is about, and the picture
    actor         the Ray actor that answers about the live mesh
    client        asks that actor

Conventions. Pairs are unordered pairs of nodes that survive, unless a loss is meant, which has a
direction. A link is the adjacency of two nodes: several radios between the same two are one link
here (importers keep the best, and how many there are): of itself it parts nobody, and named as
failed it fails with all of them. No node is linked to itself. What is not known is None, never 0.
A pair is lost when the intact mesh connects it and the failed one does not. Nothing but the actor
reads a clock, a file or the network; randomness takes a seed.
"""
