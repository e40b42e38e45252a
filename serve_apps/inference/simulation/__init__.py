"""Labelled incidents on any topology, made by the mesh's own medium, Hello protocol and traffic."""
