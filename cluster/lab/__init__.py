"""A laboratory: a real network of network namespaces, with babeld as its routing daemon."""
