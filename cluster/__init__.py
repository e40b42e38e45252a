"""The clusters that the actors run in; it knows nothing about what the actors do."""
