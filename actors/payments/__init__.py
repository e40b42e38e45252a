"""Orders paid with USDT and GRAM (formerly TON): verified on the chain, delivered exactly once."""
