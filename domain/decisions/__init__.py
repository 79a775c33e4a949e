"""What may be decided: cycles, promotions, gates, health; folds and pure functions over them."""
