"""Orders paid with USDT and TON: verified on the chain, delivered exactly once."""
