"""Proves who this host and its mesh nodes are, and judges what others say of themselves."""
