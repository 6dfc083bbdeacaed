"""In which format calls go to a channel, where something else than its provider's document says so."""
