"""Rows of documents, releases, drafts and machines, and the one transaction by which a release is made."""
