"""Read models: folded from the ledger at each append, and again beside it when somebody asks."""
