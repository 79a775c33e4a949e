"""Verification: the checks, what they find, and the read models compared with the entries."""
