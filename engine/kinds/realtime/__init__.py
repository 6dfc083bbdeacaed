"""Live connections: a WebSocket on each side, events between them, and one charge at the end."""
