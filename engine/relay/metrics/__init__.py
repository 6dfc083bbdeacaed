"""Metrics: what calls came to, counted by all workers together, and told in the text form that Prometheus reads."""
