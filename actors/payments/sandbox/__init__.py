"""A chain to try payments on: TRON and TON in memory, behind the HTTP of their public APIs.

Orders are paid here rightly and in every wrong way, over APIs that fail in every known way. What is
real: TRON transactions are serialised and signed, so that ids and signatures check; TON transactions
are cells whose hash is their id, chained by account. What is not: no contract code runs, balances
are not kept, and no block exists beyond its number and time.
"""
