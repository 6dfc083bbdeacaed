"""Work that takes minutes: submitted by one call, followed by one process of the cluster, fetched when it is done."""
