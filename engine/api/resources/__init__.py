"""Routes of the management API over the services."""
