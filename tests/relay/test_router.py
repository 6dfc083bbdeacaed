"""Routes come from endpoints: fixed paths, templates whose model holds slashes, hints that choose between formats."""

from types import SimpleNamespace

import pytest

from engine.program import Endpoint
from engine.relay.ingress.router import ProgramRouter


def endpoint(fmt, operation, path, method="POST", aliases=(), when=()):
    return Endpoint(fmt, operation, method, path, aliases, when, ("body", "model"), False, {}, {})


@pytest.fixture
def router():
    return ProgramRouter(
        SimpleNamespace(
            endpoints=(
                endpoint("a", "generate", "/v1/chat", aliases=("/chat",)),
                endpoint("a", "list_models", "/v1/models", "GET"),
                endpoint("a", "get_model", "/v1/models/{model}", "GET"),
                endpoint("b", "list_models", "/v1/models", "GET", when=(("header", "b-version"),)),
                endpoint("c", "list_models", "/v1/models", "GET", when=(("header", "c-key"), ("query", "key"))),
                endpoint("c", "generate", "/v1beta/models/{model}:generate"),
                endpoint("c", "count_tokens", "/v1beta/models/{model}:count"),
                endpoint("c", "generate", "/v1/models/{model}:generate"),
                endpoint("d", "generate", "/v1/unknown"),
            ),
            formats={
                name: SimpleNamespace(
                    kind="x-unknown" if name == "d" else "conversation",
                    dialect=f"like-{name}",
                    endpoints=(),
                    credentials=({"header": f"{name}-secret"},),
                )
                for name in "abcd"
            },
        ),
        {"conversation"},
    )


def test_a_format_of_a_kind_that_is_not_served_has_no_routes(router):
    assert found(router, "POST", "/v1/unknown") == (None, {}, [])


def found(router, method, path, headers=None, query=None):
    one, variables, methods = router.find(method, path, headers or {}, query or {})
    return (one and (one.format, one.operation), variables, sorted(set(methods)))


def test_fixed_paths_and_their_aliases(router):
    assert found(router, "POST", "/v1/chat")[0] == ("a", "generate")
    assert found(router, "POST", "/chat")[0] == ("a", "generate")
    assert found(router, "POST", "/v1/chat/")[0] == ("a", "generate")


def test_a_model_with_slashes_and_colons_is_one_variable(router):
    one, variables, _ = found(router, "POST", "/v1beta/models/org/fam:ily/m-1:count")
    assert one == ("c", "count_tokens")
    assert variables == {"model": "org/fam:ily/m-1"}
    assert found(router, "GET", "/v1/models/org/m")[:2] == (("a", "get_model"), {"model": "org/m"})


def test_hints_choose_between_formats_on_one_path(router):
    assert found(router, "GET", "/v1/models")[0] == ("a", "list_models")
    assert found(router, "GET", "/v1/models", {"b-version": "1"})[0] == ("b", "list_models")
    assert found(router, "GET", "/v1/models", {}, {"key": "k"})[0] == ("c", "list_models")


def test_a_wrong_method_names_the_right_ones_and_an_unknown_path_none(router):
    assert found(router, "GET", "/v1/chat") == (None, {}, ["POST"])
    assert found(router, "GET", "/v1beta/models/m:generate") == (None, {}, ["POST"])
    assert found(router, "POST", "/nothing") == (None, {}, [])


def test_the_nearest_endpoint_tells_in_whose_dialect_to_refuse(router):
    assert router.nearest("/v1beta/models/m:nothing").format == "c"
    assert router.nearest("/v1/cha").format == "a"


def test_a_request_tells_in_whose_dialect_to_refuse_it_whatever_its_path(router):
    assert router.nearest("/v1/files", {"b-version": "1"}).format == "b"
    assert router.nearest("/v1/files", {"a-secret": "k"}).format == "a"
    assert router.nearest("/v1/files", {}, {"key": "k"}).format == "c"


def test_a_verb_that_is_not_served_is_no_part_of_a_models_name(router):
    assert found(router, "POST", "/v1/models/m:batch") == (None, {}, [])
    assert found(router, "POST", "/v1/models/m") == (None, {}, ["GET"])
