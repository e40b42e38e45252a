"""The migrations of the tables of history."""
