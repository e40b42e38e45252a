"""The Telegram bot that sells: what it says, without a network, and the line to Telegram."""
