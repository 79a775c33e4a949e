"""The serving path: plans, and the champion in memory. Nothing here knows a training library."""
