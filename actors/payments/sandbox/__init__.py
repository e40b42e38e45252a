"""Chains to try payments on: TRON and TON in memory, behind the HTTP of their public APIs.

Orders are paid here rightly and in every wrong way, over APIs that fail in every known way. What is
real: TRON transactions are serialised and signed, so that ids and signatures check; transactions on
TON are cells whose hash is their id, chained by account, and buyers pay there by messages that they
sign and their wallet contracts check. What is not: no contract code runs, no balances are kept, and
a block is no more than its number and time.
"""
