"""Answers that are kept, gone on from, shown again, and made in the background, for formats that declare ``stored``."""
