"""What a provider keeps for a key, such as files: made by one call, asked for by others at the same channel."""
