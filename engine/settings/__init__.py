"""Settings: the one place that reads environment variables. ``load(environ) -> Settings``, frozen and typed.

``describe(settings)`` lists values and sources with secrets masked; ``python -m engine.settings`` makes the page.
"""

from engine.settings.reading import SettingsError, describe, load, read_dotenv
from engine.settings.row import Row
from engine.settings.table import rows
from engine.settings.values import Settings

__all__ = ["Row", "Settings", "SettingsError", "describe", "load", "read_dotenv", "rows"]
