"""The steps of a retraining cycle; `app/cycle/run.py` runs them in their order."""
