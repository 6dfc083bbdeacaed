"""HTTP/1.1 towards clients: a connection, a request's head and body, an answer, and gunicorn's own path beside it."""
