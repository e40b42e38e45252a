"""Starts a mesh with its companions, finds one that runs, waits for it, and ends it."""
