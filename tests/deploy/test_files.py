"""The files of deploy/: what they name exists here, streams are neither held back nor cut, nothing runs as root.

Other people's checkers (hadolint, kubernetes-validate, ...) stand in test_checked.py; here is what those can't know.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine import settings
from engine.care.doctor import front
from engine.care.doctor.site import Asked, Site
from engine.relay.services import counted
from tests.support import ROOT

DEPLOY = ROOT / "deploy"
COMPOSE = sorted((DEPLOY / "compose").glob("*.yaml"))
KUBERNETES = sorted((DEPLOY / "kubernetes").rglob("*.yaml"))
DOCUMENTS = [one for path in KUBERNETES for one in yaml.safe_load_all(path.read_text())]
NAMES = {name for row in settings.rows() for name in (row.name, f"{row.name}_FILE" if row.secret else row.name)}


def every(value: Any) -> list[Any]:
    """A value and all that is below."""
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(one for each in below for one in every(each))]


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.stem)
def test_compose_files_name_settings_that_there_are_and_end_after_the_streams(path: Path) -> None:
    services = yaml.safe_load(path.read_text())["services"]
    ours = [service for service in services.values() if service["image"] == "gatewright"]
    assert ours
    for service in ours:
        assert set(service.get("environment", {})) <= NAMES
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert int(service["stop_grace_period"].removesuffix("s")) > settings.Settings().shutdown_timeout
        assert any(volume.endswith(":/data") for volume in service["volumes"])
        assert (path.parent / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


def test_the_balancer_has_descriptors_for_its_connections() -> None:
    most = re.search(r"(?m)^ +maxconn (\d+)$", (DEPLOY / "proxies" / "haproxy.cfg").read_text())
    balancer = yaml.safe_load((DEPLOY / "compose" / "two-gateways.yaml").read_text())["services"]["balancer"]
    assert most is not None
    assert balancer["ulimits"]["nofile"] > 2 * int(most[1]) + 200


def test_pods_name_settings_that_there_are_and_end_after_the_streams() -> None:
    variables = {
        one["name"]
        for value in map(every, DOCUMENTS)
        for one in value
        if isinstance(one, dict) and {"name", "value"} == set(one)
    }
    assert variables
    assert variables <= NAMES
    (pod,) = [
        one["spec"]["template"]["spec"]
        for one in DOCUMENTS
        if one["kind"] == "StatefulSet" and "serviceName" in one["spec"]
    ]
    (gateway,) = pod["containers"]
    wait = int(gateway["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > wait + settings.Settings().shutdown_timeout
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert gateway["securityContext"]["readOnlyRootFilesystem"] is True


def test_pods_are_added_by_open_calls_that_the_gateway_tells(tmp_path: Path) -> None:
    (scaler,) = [one for one in DOCUMENTS if one["kind"] == "HorizontalPodAutoscaler"]
    (asked,) = [row["pods"]["metric"]["name"] for row in scaler["spec"]["metrics"] if row["type"] == "Pods"]
    assert f"# TYPE {asked} gauge\n{asked} 0\n" in counted(settings.Settings(data=tmp_path)).text()
    values = yaml.safe_load((DEPLOY / "kubernetes" / "metrics" / "adapter.values").read_text())
    assert [rule["seriesQuery"].partition("{")[0] for rule in values["rules"]["custom"]] == [asked]
    (monitor,) = [one["spec"] for one in DOCUMENTS if one["kind"] == "PodMonitor"]
    (stateful,) = [one for one in DOCUMENTS if one["kind"] == "StatefulSet" and "serviceName" in one["spec"]]
    assert monitor["selector"]["matchLabels"].items() <= stateful["spec"]["template"]["metadata"]["labels"].items()
    ports = [port["name"] for port in stateful["spec"]["template"]["spec"]["containers"][0]["ports"]]
    assert [each["port"] for each in monitor["podMetricsEndpoints"]] == ports


def test_the_image_copies_and_runs_what_is_there() -> None:
    text = (DEPLOY / "docker" / "Dockerfile").read_text()
    for name in ("requirements.lock", "requirements-dev.lock", "deploy/vocabularies.py"):
        assert name in text
        assert (ROOT / name).is_file()
    assert re.search(r"(?m)^USER (?!0|root)", text)
    assert "HEALTHCHECK" in text
    for name in re.findall(r"(?m)^ENV .*|^    ([A-Z_]+)=", text):
        assert not name.startswith("GATEWRIGHT") or name in NAMES


def test_the_unit_waits_for_streams_and_has_descriptors() -> None:
    unit = dict(re.findall(r"(?m)^(\w+)=(.*)$", (DEPLOY / "systemd" / "gatewright.service").read_text()))
    assert int(unit["TimeoutStopSec"]) > settings.Settings().shutdown_timeout
    assert int(unit["LimitNOFILE"]) > settings.Settings().max_connections
    assert unit["DynamicUser"] == "yes"


def test_the_doctor_has_nothing_against_our_own_proxy() -> None:
    site = Site(Asked({}, proxies=(DEPLOY / "proxies" / "nginx.conf",)))
    assert list(front.proxies(site)) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [("haproxy.cfg", "timeout server"), ("apache.conf", "timeout="), ("Caddyfile", "response_header_timeout")],
)
def test_other_proxies_wait_longer_than_the_gateway(name: str, words: str) -> None:
    match = re.search(rf"{words}\s*(\d+)", (DEPLOY / "proxies" / name).read_text())
    assert match is not None
    assert int(match[1]) > settings.Settings().streaming_timeout
