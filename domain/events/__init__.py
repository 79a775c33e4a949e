"""What can happen, as the ledger remembers it: the events, their envelope, the values in them."""
