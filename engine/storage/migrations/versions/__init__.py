"""The revisions, oldest first; each only adds."""
