"""An answer as a stream of hub events: assembled from what decode says of wire events, replayed, told to a target."""
