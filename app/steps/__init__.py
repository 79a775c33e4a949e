"""The steps of a retraining cycle; `app/retraining_cycle.py` runs them in their order."""
