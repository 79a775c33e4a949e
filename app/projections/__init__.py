"""Read models: derived from the ledger, emptied and rebuilt whenever somebody asks."""
