"""What the rows of a model look like, and whether a row keeps to it."""
