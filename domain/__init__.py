"""Pure: events, decisions, folds and statistics. No I/O, no clock, no chance, no framework."""
