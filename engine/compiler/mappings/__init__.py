"""Mappings to functions: the trees of one document, every field that holds one, and what is compiled only once."""
