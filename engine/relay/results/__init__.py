"""Results of tasks that are kept: what a Policy says of it, the stores, and the answer with one of them."""
