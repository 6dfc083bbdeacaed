"""What choosing needs to know of a call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from engine.program import Format
    from engine.routing.affinity.bond import Bond
    from engine.storage.rows.accounts import Account


class RoutedCall(Protocol):
    """A call whose model was read and whose caller is known."""

    @property
    def format(self) -> Format:
        """The caller's format."""

    def speaks(self, asked: Format, spoken: Format) -> bool:
        """Whether a call in the first format can go to a provider that is spoken to in the second."""

    @property
    def asked(self) -> str:
        """The model's name as the caller wrote it."""

    @property
    def called(self) -> str:
        """The path that the caller asked for."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The caller's headers, by lower-case names."""

    @property
    def body(self) -> Any:
        """The request's JSON."""

    @property
    def bond(self) -> Bond | None:
        """What it has in common with earlier calls."""

    @property
    def kept(self) -> str | None:
        """The channel that answered the last of those."""

    @property
    def ip(self) -> str:
        """The caller's address."""

    @property
    def now(self) -> int:
        """When it came, in unix seconds."""

    @property
    def size(self) -> int:
        """Tokens of the request, estimated."""

    @property
    def cached_price(self) -> bool:
        """Whether its cached input costs less than other input."""

    @property
    def stream(self) -> bool:
        """Whether a stream is wanted."""

    @property
    def account(self) -> Account | None:
        """Whose call it is."""

    @property
    def pinned(self) -> int | None:
        """The channel that an administrator named in the key."""
