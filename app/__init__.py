"""The shell: everything with an effect, from HTTP and the database to training and the clock."""
