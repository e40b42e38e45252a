"""The graph of a mesh: an immutable model, its importers and a generator.

`model` holds `Topology`, `surviving` the same graph under failures, `diff` what changed
between two of them. `formats` reads what operators publish as a `network.Reading`, `selection`
makes a topology of that, `radio` makes a mesh up, and `source` decides which of these a path, a URL
or `radio:N` needs.
"""
