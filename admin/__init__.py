"""The web console (its pages follow in their own issue)."""
