"""Documents, releases and kept exchanges."""
