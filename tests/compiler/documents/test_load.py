"""Loading: YAML 1.2 as data with places, and what YAML can do to a document by accident or on purpose."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.compiler.documents import load
from engine.compiler.documents.load import Source


def data(text: str) -> object:
    documents, faults = load.parse(Source("f.yaml", text))
    assert not faults, [fault.as_text() for fault in faults]
    return documents[0].data


def codes(text: str) -> list[str]:
    return [fault.code for fault in load.parse(Source("f.yaml", text))[1]]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2023-06-01", "2023-06-01"),
        ("off", "off"),
        ("yes", "yes"),
        ("12:30", "12:30"),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-7", -7),
        ("~", None),
        ("null", None),
        ("True", True),
        ("'true'", "true"),
        ("!!str 5", "5"),
        ("1.2.3", "1.2.3"),
    ],
)
def test_plain_scalars_are_read_by_the_core_schema(text: str, value: object) -> None:
    found = data(f"a: {text}")
    assert found == {"a": value}
    assert type(found["a"]) is type(value)  # type: ignore[index]


def test_keys_are_always_text() -> None:
    assert data("{429: a, true: b, 1.0: c, '': d}") == {"429": "a", "true": "b", "1.0": "c", "": "d"}


def test_one_file_may_hold_several_documents_and_empty_ones_are_skipped() -> None:
    documents, faults = load.parse(Source("f.yaml", "---\n---\na: 1\n---\nb: 2\n"))
    assert [document.data for document in documents] == [{"a": 1}, {"b": 2}]
    assert not faults


def test_a_byte_order_mark_is_skipped() -> None:
    assert data("\ufeffa: 1") == {"a": 1}


def test_aliases_are_expanded() -> None:
    assert data("a: &x [1]\nb: *x") == {"a": [1], "b": [1]}


def test_an_alias_bomb_is_bounded() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert codes("\n".join(lines)) == ["too-large"]


def test_an_alias_of_itself_is_bounded() -> None:
    assert codes("a: &a [*a]") == ["too-large"]


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 100_000 + "a", "{a: " * 100_000, "? " * 100_000])
def test_deep_nesting_is_a_fault_and_kills_nothing(text: str) -> None:
    assert codes(text) == ["too-large"]


def test_nesting_that_only_aliases_make_is_a_fault() -> None:
    lines = ["a0: &a0 x", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 300))]
    assert codes("\n".join(lines)) == ["too-large"]


@pytest.mark.parametrize(
    "text", ["a: !!python/object:os.system x", "a: !custom {b: 1}", "<<: {a: 1}", "a: !!set {b: }", "a: *nowhere"]
)
def test_tags_merge_keys_and_unknown_anchors_are_faults(text: str) -> None:
    assert codes(text)


@pytest.mark.parametrize("text", [".inf", "-.inf", ".nan"])
def test_numbers_that_json_has_not_are_faults(text: str) -> None:
    assert codes(f"a: {text}") == ["wrong-value"]


def test_a_control_character_is_named_with_its_place() -> None:
    (fault,) = load.parse(Source("f.yaml", "a: 1\nb: x\x07y"))[1]
    assert (fault.place.line, fault.place.column) == (2, 5)
    assert "U+0007" in fault.message


def test_a_syntax_fault_keeps_the_documents_before_it() -> None:
    documents, faults = load.parse(Source("f.yaml", "a: 1\n---\nb: [\n"))
    assert [document.data for document in documents] == [{"a": 1}]
    assert [fault.code for fault in faults] == ["yaml-syntax"]


def test_places_of_values_keys_and_items() -> None:
    (document,), _ = load.parse(Source("f.yaml", "é: 1\nspec:\n  list:\n    - {a: é, b: two}\n    - x\n"))
    assert str(document.where(("spec", "list", 0, "b"))) == "f.yaml:4:17"
    assert str(document.key(("spec", "list", 0, "b"))) == "f.yaml:4:14"
    assert str(document.where(("spec", "list", 1))) == "f.yaml:5:7"
    assert document.where(("spec", "list", 1)).text == "    - x"


def test_the_place_of_what_is_absent_is_the_deepest_that_exists() -> None:
    (document,), _ = load.parse(Source("f.yaml", "spec:\n  a: {b: 1}\n"))
    assert str(document.where(("spec", "a", "c", 0))) == "f.yaml:2:6"


def test_a_token_narrows_the_place_also_in_a_block_of_text() -> None:
    (document,), _ = load.parse(Source("f.yaml", 'a: "{{ x | lowr }}"\nb: |\n  one\n  {{ lowr }}\n'))
    assert str(document.where(("a",), "lowr")) == "f.yaml:1:12"
    assert str(document.where(("b",), "lowr")) == "f.yaml:4:6"
    assert str(document.where(("a",), "nowhere")) == "f.yaml:1:4"


def test_a_directory_is_read_in_the_order_of_names_and_bad_bytes_are_a_fault(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("b: 1")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.yml").write_text("a: 1")
    (tmp_path / "bad.yaml").write_bytes(b"a: \xff")
    (tmp_path / ".hidden.yaml").write_text("c: 1")
    (tmp_path / "notes.txt").write_text("d: 1")
    sources, faults = load.read(tmp_path, layer=3)
    assert [(Path(source.name).name, source.layer) for source in sources] == [("b.yaml", 3), ("a.yml", 3)]
    assert [fault.code for fault in faults] == ["not-utf8"]


@pytest.mark.parametrize("name", ["stolen.yaml", "stolen.yml"])
def test_a_link_out_of_the_directory_is_a_fault_and_nothing_of_it_is_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("root:x:0:INNER-WORDS")
    inside = tmp_path / "specs"
    (inside / "deep").mkdir(parents=True)
    (inside / "deep" / name).symlink_to(tmp_path / "secret")
    sources, faults = load.read(inside)
    assert not sources
    assert [fault.code for fault in faults] == ["outside"]
    assert "INNER" not in faults[0].as_text() + str(faults[0].as_json())


def test_a_link_within_the_directory_is_followed(tmp_path: Path) -> None:
    """As container platforms mount their files."""
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "a.yaml").write_text("a: 1")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    sources, faults = load.read(tmp_path)
    assert not faults
    assert "a: 1" in [source.text for source in sources]
