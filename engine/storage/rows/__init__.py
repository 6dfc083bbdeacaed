"""Statements over the tables of accounts, channels, options, budgets, the ledger and the log; no rules."""
