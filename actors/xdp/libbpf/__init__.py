"""The part of libbpf that is needed, by ctypes.

Invariants: every failure is a `BpfError` with the kernel's errno, and for a load also the last
lines that libbpf and the verifier said; every descriptor that is returned belongs to the caller.
"""
