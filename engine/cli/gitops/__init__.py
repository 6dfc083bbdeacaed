"""The commands over documents and releases, on this machine's database or against a server."""
