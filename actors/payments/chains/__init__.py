"""The two chains: amounts, addresses and APIs, and what their answers prove about a wallet."""
