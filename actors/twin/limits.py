"""How much may be asked of the twin at once. Imports nothing that takes time."""

from __future__ import annotations

from typing import Final

MIN_SAMPLES: Final = 2  # draws
MAX_SAMPLES: Final = 1_000_000
MAX_LINKS: Final = 100  # new links in one advice
MAX_PAIRS: Final = 10_000  # worst pairs in an answer
MAX_RETRIES: Final = 254  # retries of a frame over one hop: IEEE 802.11 allows 255 transmissions
RANKS: Final = ("clients", "nodes", "pairs")  # what failures are ranked by
