"""Second factors of a login, passkeys, and the proof that somebody has just shown one."""

from __future__ import annotations

from engine.api.resources.newapi.factors import codes, passkeys, proofs

ROUTES = (*codes.ROUTES, *passkeys.ROUTES, *proofs.ROUTES)
