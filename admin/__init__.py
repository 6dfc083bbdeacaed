"""The console: pages for operators and users, served by every worker below ``/console``.

Thin over the management API: what a page reads and does goes through its routes, in the name of who looks (``door``),
so no page can do what the API refuses, and every change stands in the trail. Pages hold no SQL and no rules of
business; templates (``templates/console/``) hold no logic but presence. Texts are gettext's, in four languages.
"""

from __future__ import annotations

from admin.front import routes
from admin.site import PREFIXES, Console

__all__ = ["PREFIXES", "Console", "routes"]
