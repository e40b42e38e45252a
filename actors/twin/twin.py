"""The front of the twin: a mesh, its conditions, and the questions that can be asked of it."""
