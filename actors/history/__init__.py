"""The history of networks: their events, and what was measured of them, minute by minute."""
