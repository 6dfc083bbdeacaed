"""Moving in: channels, prices and options of other programs, and calls that somebody made by hand, become documents."""
