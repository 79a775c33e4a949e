"""The retraining cycle: started, run step by step in a process of its own, promoted."""
