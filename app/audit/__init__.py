"""What can be asked: one question, one function, one value with its sentence."""
