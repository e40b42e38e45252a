"""The HTTP gateway of a mesh: a pure core, and `app`, the only module that knows Ray Serve."""
