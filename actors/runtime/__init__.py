"""The basis of all actors: settings, errors, logs, metrics, time, names and spawning.

Nothing here imports Ray except `spawn`, so every other module works in a plain process.
"""
