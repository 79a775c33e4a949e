"""Drift: a frozen reference against a current window."""
