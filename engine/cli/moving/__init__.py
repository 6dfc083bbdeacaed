"""Commands for who moves in; what they do stands in ``engine.moving``."""
