"""Conversations: generating calls of any format, carried to any other through the hub, whole or streamed."""
