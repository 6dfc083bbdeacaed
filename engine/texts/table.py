"""The table of texts: by key English, Chinese, French, Japanese."""

from __future__ import annotations

from engine.texts import of_calls, of_logins, of_people, of_teams, of_things

_ROOMS = (of_people, of_things, of_calls, of_logins, of_teams)
TABLE: dict[str, tuple[str, str, str, str]] = {key: words for room in _ROOMS for key, words in room.TEXTS.items()}
