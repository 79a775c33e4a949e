"""What comes in: predictions, observations, data sets, documents; and what is erased again."""
