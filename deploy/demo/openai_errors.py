"""How OpenAI refuses: error bodies, and the checks that chat completions and Responses share."""

from __future__ import annotations

import re
from typing import Any

import shape
import wire
from wire import Options, RefusedError

_NAME = re.compile(r"^[a-zA-Z0-9_-]+$")
_KINDS = {
    400: ("invalid_request_error", None, "The request was refused because the prompt asked for it."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided: demo."),
    403: (
        "invalid_request_error",
        "unsupported_country_region_territory",
        "Country, region, or territory not supported",
    ),
    404: (
        "invalid_request_error",
        "model_not_found",
        "The model `demo` does not exist or you do not have access to it.",
    ),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for demo on requests per min (RPM): Limit 3, Used 3."),
    500: ("server_error", None, "The server had an error while processing your request. Sorry about that!"),
    503: ("server_error", None, "The engine is currently overloaded, please try again later"),
}


def body(message: str, kind: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """An error object."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def invalid(message: str, param: str | None = None, code: str | None = None, status: int = 400) -> RefusedError:
    """A request that is refused."""
    return RefusedError(status, body(message, "invalid_request_error", param, code))


def asked(status: int) -> RefusedError:
    """The error that the prompt asked for."""
    kind, code, message = _KINDS.get(status, _KINDS[500] if status >= 500 else _KINDS[400])
    headers = {"retry-after": "2"} if status in (429, 503) else {}
    return RefusedError(status, body(message, kind, None, code), headers)


def pace(orders: dict[str, int | None], options: Options) -> float:
    """Seconds between chunks."""
    wanted = orders.get("pace")
    return options.pace if wanted is None else wanted / 1000


def check_shape(found: Any, table: dict[str, Any]) -> None:
    """Refuse what the vendor does not know or can't read."""
    if not isinstance(found, dict):
        raise invalid("We could not parse the JSON body of your request. The request body must be a JSON object.")
    problem = shape.check(found, table)
    if problem is None:
        return
    where = shape.dotted(problem.path)
    if problem.kind == "unknown":
        raise invalid(f"Unknown parameter: '{where}'.", where, "unknown_parameter")
    if problem.kind == "missing":
        raise invalid(f"Missing required parameter: '{where}'.", where, "missing_required_parameter")
    if problem.kind in ("value", "tag"):
        supported = f"Supported values are: {problem.wanted}."
        raise invalid(f"Invalid value: '{problem.found}'. {supported}", where, "invalid_value")
    got = {"array": "an array", "object": "an object", "number": "a number"}.get(
        shape.json_type(problem.found), f"a {shape.json_type(problem.found)}"
    )
    wanted = f"an {problem.wanted}" if problem.wanted[0] in "aio" else f"a {problem.wanted}"
    raise invalid(f"Invalid type for '{where}': expected {wanted}, but got {got} instead.", where, "invalid_type")


def check_model(model: str, options: Options) -> None:
    """Refuse a model that there is not."""
    if model not in wire.MODELS["openai"] and not options.any_model:
        message = f"The model `{model}` does not exist or you do not have access to it."
        raise invalid(message, None, "model_not_found", 404)


def check_bounds(found: dict[str, Any], bounds: dict[str, tuple[int, int | None]]) -> None:
    """Refuse numbers that are too small or too large."""
    for name, (low, high) in bounds.items():
        value = found.get(name)
        kind = "integer" if isinstance(value, int) else "decimal"
        if value is not None and value < low:
            raise invalid(
                f"Invalid '{name}': {kind} below minimum value. Expected a value >= {low}, but got {value} instead.",
                name,
                f"{kind}_below_min_value",
            )
        if value is not None and high is not None and value > high:
            raise invalid(
                f"Invalid '{name}': {kind} above maximum value. Expected a value <= {high}, but got {value} instead.",
                name,
                f"{kind}_above_max_value",
            )


def check_name(name: str, where: str) -> None:
    """Refuse a tool's name that is too long or holds other characters."""
    if len(name) > 64:
        raise invalid(
            f"Invalid '{where}': string too long. Expected a string with maximum length 64, but got a string with"
            f" length {len(name)} instead.",
            where,
            "string_above_max_length",
        )
    if not _NAME.match(name):
        raise invalid(
            f"Invalid '{where}': string does not match pattern. Expected a string that matches the pattern"
            " '^[a-zA-Z0-9_-]+$'.",
            where,
            "invalid_value",
        )


def check_thinking_model(found: dict[str, Any], refused: str = "", instead: str = "") -> None:
    """Refuse what a thinking model can't take."""
    if refused and found.get(refused) is not None:
        raise invalid(
            f"Unsupported parameter: '{refused}' is not supported with this model. Use '{instead}' instead.",
            refused,
            "unsupported_parameter",
        )
    if found.get("temperature") not in (None, 1):
        raise invalid(
            f"Unsupported value: 'temperature' does not support {found['temperature']} with this model. Only the"
            " default (1) value is supported.",
            "temperature",
            "unsupported_value",
        )


def check_image(url: str, where: str) -> None:
    """Refuse a picture that could not be had."""
    if url.startswith(("http://", "https://")):
        return
    head, _, data = url.partition(";base64,")
    if not head.startswith("data:image/") or not wire.is_base64(data):
        raise invalid(
            f"Invalid '{where}'. Expected a valid URL or a base64-encoded data URL with an image MIME type.",
            where,
            "invalid_image_url",
        )
