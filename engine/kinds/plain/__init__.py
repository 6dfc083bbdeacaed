"""Plain calls: one JSON body for another, between formats that pass through to each other; no hub, no stream."""
