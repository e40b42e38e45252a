"""Owns the XDP programs of a host: which is attached where, and what the kernel sees there."""
