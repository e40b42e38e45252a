"""The ledger: orders, payments, reviews and messages owed, in one database."""
