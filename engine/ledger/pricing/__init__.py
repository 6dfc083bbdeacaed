"""From a model and its usage to a charge: rules of Price documents and of the options table, and the exact sum."""
