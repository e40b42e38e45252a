"""Where it runs: the clusters that the actors live in, and nothing about what the actors do."""
