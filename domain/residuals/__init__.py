"""Residuals of a champion: frozen at its promotion, and what they say of the rows since."""
