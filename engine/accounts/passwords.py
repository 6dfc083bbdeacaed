"""Passwords: checked for what can be kept whole and is not common, kept as bcrypt (cost 10), as the family does.

Common is what programs that guess try first: a word of ``_WORDS``, also with signs in place of letters and some more
at its ends (``P@ssw0rd1!``), neighbours on a keyboard, runs and repetitions (``1q2w3e4r``, ``qwer1234``,
``abcabcabc``), and the name of who has it. The rules stand for many thousands of passwords; what they cost is
bounded by the length.
"""

from __future__ import annotations

from collections.abc import Callable
from string import ascii_lowercase
from typing import Any

import bcrypt

from engine.errors import Invalid
from engine.texts import refusal

_COST = 10
_LONGEST = 72
"""bcrypt reads no further; what it would ignore must not look like part of the password."""
_SHORTEST = 8
_LIST = """
    abc access account admin administrator amanda andrew angel anthony arsenal ashley august austin autumn
    azerty babygirl backup badboy bailey banana barcelona baseball basketball batman beautiful blink bonjour
    boston bubbles buster butterfly changeit changeme charlie cheese chelsea chocolate chris christmas computer
    cookie corvette cowboy danger daniel december default demo doudou dragon eagles elizabeth family february
    fender ferrari flower football forever freedom friday gateway gatewright george ginger guest guitar hammer
    hannah harley heather hello hockey hunter iceman iloveu iloveyou internet jackson january jasmine jennifer
    jessica jesus jonathan jordan joseph joshua july justin killer knight ladybug letmein liverpool login london
    lovely loveme lover mama manager manchester marina martin master matrix matthew maverick melissa mercedes
    merlin michael michelle mickey midnight mima monday money monkey monster motdepasse mother mustang mypass
    mypassword naruto nicole ninja nothing november october orange pass passe passwd password passwort pepper
    player please pokemon porsche princess public purple qazwsx qwert qwerty qwertyuiop qwertz rainbow ranger
    richard robert root samantha sayang scooter secret secure security september server service shadow snoopy
    soccer soleil spider spring startrek starwars steelers sterne steven student summer sunday sunshine superman
    superuser support sweet sysadmin system taylor teacher temp temporary tennis test tester testing thomas
    thunder tiger tigger toor trustme trustno unknown user username victoria webmaster welcome whatever william
    winner winter wizard woaini yankees zaqwsx zxcvbn zxcvbnm
"""
_WORDS = frozenset(_LIST.split())
_SIGNS = str.maketrans("@4310!5$7", "aaeioisst")
_ROWS = (
    *("01234567890123456789", "abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "asdfghjkl", "zxcvbnm", "azertyuiop"),
    *("qwertzuiop", "yxcvbnm", "1qaz2wsx3edc4rfv5tgb6yhn7ujm", "1q2w3e4r5t6y7u8i9o0p", "q1w2e3r4t5y6u7i8o9p0"),
    *("qazwsxedcrfvtgbyhnujm", "zaq12wsxcde34rfvbgt56yhn", "147258369", "741852963", "!@#$%^&*()_+"),
    *("a1b2c3d4e5f6g7h8", "5201314520"),
)
_RUNS = (*_ROWS, *(row[::-1] for row in _ROWS))
_SHORT_RUN, _MOST_RUNS, _FEW, _BLOCK = 3, 3, 4, 4


def is_common(password: str, name: str = "") -> bool:
    """Whether programs that guess try this early. ``name``: of who is to have it."""
    text = password.lower()
    paired = text[::2] if text[::2] == text[1::2] else ""
    return (
        _runs(text)
        or _runs(paired)
        or (len(text.strip(ascii_lowercase)) >= len(text) - 2 and _runs(text.strip(ascii_lowercase)))
        or any(text in text[:size] * len(text) for size in range(1, _BLOCK + 1))
        or any(_is_word(text, word, name.lower()) for word in _stems(text))
    )


def _stems(text: str) -> set[str]:
    """The words that a text may have been made of, signs read as letters, without what stands at its ends."""
    tail = text.rstrip("".join({sign for sign in text if not sign.isalpha()}))
    plain = tail.translate(_SIGNS)
    return {text.translate(_SIGNS), plain, tail.lstrip("0123456789!@#$%^&*._-+").translate(_SIGNS)}


def _is_word(text: str, stem: str, name: str) -> bool:
    """Whether a stem is common (or the name), and what is beside it short or a run."""
    if stem not in _WORDS and not (name and stem in (name, name[::-1])):
        return False
    rest = len(text) - len(stem)
    return rest <= _FEW or _runs(text[len(stem) :]) or _runs(text[:rest])


def _runs(text: str) -> bool:
    """Whether a text is a few stretches of a keyboard's rows, of counting, or of one sign again and again."""
    place = pieces = 0
    while place < len(text):
        longest = max(_reach(text, place, row) for row in (*_RUNS, text[place] * len(text)))
        if longest < _SHORT_RUN:
            return False
        place, pieces = place + longest, pieces + 1
    return 0 < pieces <= _MOST_RUNS


def _reach(text: str, place: int, row: str) -> int:
    """How many signs from a place on stand in a row as they do there."""
    end = place
    while end < len(text) and text[place : end + 1] in row:
        end += 1
    return end - place


def hash_password(password: str, name: str = "") -> str:
    """The form in which a password is kept. ``name``: of who is to have it; raises ``Invalid``."""
    raw = password.encode()
    if len(raw) > _LONGEST:
        raise Invalid("password", f"the password is {len(raw)} bytes long", f"at most {_LONGEST} can be kept")
    if len(password) < _SHORTEST:
        raise Invalid("password", f"the password has {len(password)} characters", f"at least {_SHORTEST} are needed")
    if is_common(password, name):
        raise refusal(Invalid, "password.common", field="password")
    return str(_aside(lambda: bcrypt.hashpw(raw, bcrypt.gensalt(_COST)).decode()))


def check_password(password: str, hashed: str) -> bool:
    """Whether this is the password that was kept; an account without one has none that fits."""
    raw = password.encode()
    try:
        return bool(hashed) and len(raw) <= _LONGEST and bool(_aside(lambda: bcrypt.checkpw(raw, hashed.encode())))
    except ValueError:
        return False


def _aside(work: Callable[[], Any]) -> Any:
    """PERF: 60 ms of the processor, in a thread, so that a worker's other calls go on; bcrypt lets go of the lock."""
    from gevent import get_hub, monkey

    return get_hub().threadpool.apply(work) if monkey.is_module_patched("socket") else work()
