"""The commands of `whyledger`, one file per subject."""
