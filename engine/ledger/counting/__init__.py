"""Tokens counted here, where an upstream told none: by a vocabulary, by weights, and pictures by their size."""
