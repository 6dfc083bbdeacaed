"""The way to a provider and back: what goes up, and what a failure there means and may tell."""
