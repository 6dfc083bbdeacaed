"""The revisions that follow those in the folder above."""
