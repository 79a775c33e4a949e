"""Many rows in one entry: their lines, salts and root, their ids, and the plain events they are."""
