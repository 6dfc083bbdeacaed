"""What may be done to users, keys, their balances and codes: rules of business, checked here and nowhere else."""
