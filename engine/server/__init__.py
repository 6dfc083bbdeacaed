"""The server leg: gunicorn's application and arbiter, a short worker class, the compile watcher, and the swap."""
