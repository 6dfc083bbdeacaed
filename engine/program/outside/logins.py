"""What a Login document says: where people are sent, what their code is exchanged for, who they are, who may enter.

Its functions take plain values in the order that the schema gives them, after a report: ``options`` (texts by name),
``found`` (an OpenID configuration, or nothing), ``flow`` (see ``engine.identity.flows``), ``answers`` (by name),
``claims`` (of a proved id token, or nothing), ``query`` (what came back), ``person`` (a map) and ``now`` in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.program import layout
from engine.program.layout import Function, data


@dataclass(frozen=True, slots=True)
class LoginClient:
    """What the service knows the gateway as."""

    id: Function | None = data(read=layout.function)
    secret: Function | None = data(read=layout.function)


@dataclass(frozen=True, slots=True)
class LoginAuthorize:
    """Where people are sent to."""

    url: Function | None = data(read=layout.function)
    scopes: Function | None = data(read=layout.function)
    pkce: bool = data(read=layout.otherwise(True))
    parameters: Function | None = data(read=layout.function)
    code: Function | None = data(read=layout.function)


@dataclass(frozen=True, slots=True)
class LoginProof:
    """Fields that the service signed itself."""

    genuine: Function = data(read=layout.function, needed=True)
    once: Function = data(read=layout.function, needed=True)


@dataclass(frozen=True, slots=True)
class LoginToken:
    """How a code is exchanged."""

    method: str = data(read=layout.otherwise("POST"))
    url: Function | None = data(read=layout.function)
    headers: Function | None = data(read=layout.function)
    form: Function | None = data(read=layout.function)
    json: Function | None = data(read=layout.function)
    auth: str = data(read=layout.otherwise("body"))


@dataclass(frozen=True, slots=True)
class LoginIdToken:
    """Whose keys have to have signed an id token."""

    issuer: Function | None = data(read=layout.function)
    keys: Function | None = data(read=layout.function)


@dataclass(frozen=True, slots=True)
class LoginRead:
    """A question about the person."""

    name: str = data(needed=True)
    method: str = data(read=layout.otherwise("GET"))
    url: Function = data(read=layout.function, needed=True)
    headers: Function | None = data(read=layout.function)
    form: Function | None = data(read=layout.function)
    json: Function | None = data(read=layout.function)


@dataclass(frozen=True, slots=True)
class LoginPerson:
    """Who it is."""

    id: Function = data(read=layout.function, needed=True)
    former_id: Function | None = data(read=layout.function)
    name: Function | None = data(read=layout.function)
    display_name: Function | None = data(read=layout.function)
    email: Function | None = data(read=layout.function)
    email_verified: Function | None = data(read=layout.function)


@dataclass(frozen=True, slots=True)
class LoginCondition:
    """A condition on who enters, with what is told where it does not hold."""

    when: Function = data(read=layout.function, needed=True)
    refusal: Function = data(read=layout.function, needed=True)


@dataclass(frozen=True, slots=True)
class Login:
    """A way to sign in by an outside identity. ``number``: the id of one that the console keeps, else 0."""

    name: str = data(needed=True)
    title: str = data(needed=True)
    person: LoginPerson = data(read=layout.one(LoginPerson), needed=True)
    icon: str = data(read=layout.text, default="")
    options: dict[str, str] = data(read=layout.mapping, default_factory=dict)
    needs: tuple[str, ...] = data(read=layout.items, default=())
    enabled: Function | None = data(read=layout.function, default=None)
    column: str = data(read=layout.text, default="")
    discovery: Function | None = data(read=layout.function, default=None)
    client: LoginClient = data(read=layout.one(LoginClient), default=LoginClient(None, None))
    authorize: LoginAuthorize | None = data(read=layout.maybe(LoginAuthorize), default=None)
    proof: LoginProof | None = data(read=layout.maybe(LoginProof), default=None)
    token: LoginToken | None = data(read=layout.maybe(LoginToken), default=None)
    id_token: LoginIdToken | None = data(read=layout.maybe(LoginIdToken), default=None)
    reads: tuple[LoginRead, ...] = data(read=layout.several(LoginRead), default=())
    verified_email: bool = data(read=layout.flag, default=False)
    admit: tuple[LoginCondition, ...] = data(read=layout.several(LoginCondition), default=())
    role: Function | None = data(read=layout.function, default=None)
    group: Function | None = data(read=layout.function, default=None)
    number: int = 0

    def read(self, options: Any) -> dict[str, str]:
        """The options that its expressions may read, each as it is set or as the document says."""
        return {name: options.get(name, default) for name, default in self.options.items()}
