"""The way in: which route, whose call, the body read and parsed once, and where a heavy one is served."""
