"""Lists and statistics of what was called: bounded questions, and no HTTP."""
