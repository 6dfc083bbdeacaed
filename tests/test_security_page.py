"""docs/security.md names tests that are there, and says no where nothing shows it."""

from __future__ import annotations

import re

from tests.support import ROOT

_NAMES = "(?:password|again|original_password)"
_PASSWORDS = re.compile(rf"""ui\.field\([^()]*\([^()]*\), '{_NAMES}'[^}}]*|<input[^>]*name="{_NAMES}"[^>]*>""")
_NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def test_every_test_that_the_page_names_is_there() -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = _NAMED.findall(page)
    assert len(named) > 30
    lost = [
        f"{path}::{name}" for path, name in named if f"def {name}(" not in (ROOT / path).read_text(encoding="utf-8")
    ]
    assert not lost


def test_a_row_of_the_standard_is_shown_by_a_test_or_says_no() -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:-1] for line in page.splitlines() if re.match(r"\| [678]\.\d", line)]
    assert len(rows) > 35
    for number, _, says, shown in rows:
        assert _NAMED.search(shown) or says.strip().startswith(("no", "there is no")), number


def test_passwords_are_typed_into_masked_fields() -> None:
    """Also those that a browser's manager fills: no field of a password is a plain one or shut to pasting."""
    count = 0
    for page in sorted((ROOT / "templates" / "console").glob("*.html")):
        for line in page.read_text(encoding="utf-8").splitlines():
            assert "onpaste" not in line
            for field in _PASSWORDS.findall(line):
                count += 1
                assert "type='password'" in field or 'type="password"' in field, (page.name, field)
    assert count >= 4
