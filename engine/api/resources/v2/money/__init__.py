"""Money: budgets, the ledger, prices of others."""
