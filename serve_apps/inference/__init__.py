"""Says what is wrong in a network, which node caused it, and why: GraphSAGE with explanations."""
