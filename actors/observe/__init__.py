"""The network as its operators know it: what the sources say of it, kept over time."""
