"""A curl line that works, as the spec of a Provider."""

from __future__ import annotations

import shlex
from urllib.parse import urlsplit

from admin import forms
from admin.words import gettext
from engine.errors import Invalid


def provider_of(line: str, name: str) -> tuple[str, str]:
    """A Provider's spec from a curl line that works: its address, format and models; the key is left out."""
    try:
        words = shlex.split(line.replace("\\\n", " "))
    except ValueError:
        raise Invalid("curl", gettext("A quote is open in this line")) from None
    url = next((word for word in words if word.startswith(("http://", "https://"))), "")
    if not url:
        raise Invalid("curl", gettext("No address stands in this line"))
    parts = urlsplit(url)
    ends = {"/chat/completions": "openai.chat", "/responses": "openai.responses", "/messages": "anthropic.messages"}
    end = next((end for end in ends if parts.path.endswith(end)), "")
    if not end:
        raise Invalid("curl", gettext("The path is none of %(known)s") % {"known": ", ".join(ends)})
    flags = ("-d", "--data", "--data-raw", "--json")
    data = next((words[i + 1] for i, word in enumerate(words[:-1]) if word in flags), "{}")
    model = str(forms.loads(data).get("model") or "")
    scheme = "header" if any(word.lower().startswith("x-api-key:") for word in words) else "bearer"
    auth = "{scheme: bearer}" if scheme == "bearer" else "{scheme: header, name: x-api-key}"
    base = f"{parts.scheme}://{parts.netloc}{parts.path.removesuffix(end)}"
    spec = (
        f"spec:\n  baseUrl: {base}\n  auth: {auth}\n  formats:\n    {ends[end]}: {{path: {end}}}\n  models: [{model}]\n"
    )
    return spec, name or (parts.hostname or "provider").split(".")[-2 if "." in (parts.hostname or "") else 0]
