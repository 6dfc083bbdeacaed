"""Commands that look after an installation; what they do stands in ``engine.care``."""
