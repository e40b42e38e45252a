"""Alerts: what asks for a person's attention reaches a person, once."""
