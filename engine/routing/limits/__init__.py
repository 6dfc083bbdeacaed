"""Limits of callers and channels: the rules, and what a call took. Counts nothing."""
