"""HTTP: identity, the hot path, bodies, problems; the routes."""
