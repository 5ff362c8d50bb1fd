"""deploy/kubernetes: valid by the schemas of Kubernetes, and at one with the service."""

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from app.metrics import Metrics
from app.settings import load_settings

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
NOT_RESOURCES = {"kustomization.yaml", "prometheus-adapter-values.yaml"}
MANIFESTS = sorted(path.name for path in FOLDER.glob("*.yaml") if path.name not in NOT_RESOURCES)
VERSIONS = ("1.31", kubernetes_validate.latest_version())
"""What a cluster may run: an old one that still gets care, and the newest with schemas."""


def load(name: str) -> dict[str, Any]:
    return yaml.safe_load((FOLDER / name).read_text("utf-8"))


def pod_of(name: str) -> dict[str, Any]:
    manifest = load(name)
    return manifest["spec"] if manifest["kind"] == "Pod" else manifest["spec"]["template"]["spec"]


DEPLOYMENT = load("deployment.yaml")
POD = pod_of("deployment.yaml")
[CONTAINER] = POD["containers"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", MANIFESTS)
def test_every_manifest_is_valid_by_the_schemas(name, version):
    kubernetes_validate.validate(load(name), version, strict=True)


def test_a_wrong_manifest_is_not_valid():
    manifest = load("deployment.yaml")
    manifest["spec"]["replicaz"] = 2
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, VERSIONS[-1], strict=True)


def test_kustomization_applies_all_but_what_an_operator_applies_by_hand():
    by_hand = {"secret.example.yaml", "operator.yaml"}
    assert set(load("kustomization.yaml")["resources"]) == set(MANIFESTS) - by_hand


@pytest.mark.parametrize("name", ["deployment.yaml", "operator.yaml"])
def test_pods_keep_to_the_restricted_standard_and_more(name):
    pod = pod_of(name)
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    [container] = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container["resources"]) == {"requests", "limits"}
    # Kubernetes would set SOFTALIGN_PORT and the like, which are no settings.
    assert pod["enableServiceLinks"] is False


def test_its_variables_are_settings_and_its_grace_covers_theirs(monkeypatch):
    variables = {one["name"]: one["value"] for one in CONTAINER["env"]}
    variables |= load("configmap.yaml")["data"]
    for name, value in variables.items():
        assert isinstance(value, str)
        monkeypatch.setenv(name, value)
    settings = load_settings()
    # Whoever is in here may pass for any caller: never as much as a whole private range.
    assert all(network.prefixlen >= 16 for network in settings.trusted_proxies)
    assert POD["terminationGracePeriodSeconds"] >= settings.shutdown_seconds + 5
    ports = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}
    assert ports["admin"] == settings.admin_port
    scraped = DEPLOYMENT["spec"]["template"]["metadata"]["annotations"]["prometheus.io/port"]
    assert int(scraped) == settings.admin_port


def test_secrets_are_mounted_where_the_settings_look():
    [mount] = [one for one in CONTAINER["volumeMounts"] if one["name"] == "secrets"]
    named = {one["value"] for one in CONTAINER["env"] if one["name"].endswith("_FILE")}
    held = load("secret.example.yaml")["stringData"]
    assert named == {f"{mount['mountPath']}/{name}" for name in held}


def test_a_restart_never_depends_on_the_database():
    assert CONTAINER["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert CONTAINER["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_only_replicas_get_requests_and_only_at_the_public_listener():
    labels = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]
    selectors = [
        DEPLOYMENT["spec"]["selector"]["matchLabels"],
        load("service.yaml")["spec"]["selector"],
        load("pdb.yaml")["spec"]["selector"]["matchLabels"],
    ]
    assert selectors == [labels] * 3
    assert not labels.items() <= load("operator.yaml")["metadata"]["labels"].items()
    [port] = load("service.yaml")["spec"]["ports"]
    assert port["targetPort"] == "http"


def test_the_network_policy_holds_for_replicas_and_the_operator():
    chosen = load("networkpolicy.yaml")["spec"]["podSelector"]["matchLabels"].items()
    assert chosen <= DEPLOYMENT["spec"]["template"]["metadata"]["labels"].items()
    assert chosen <= load("operator.yaml")["metadata"]["labels"].items()
    rules = load("networkpolicy.yaml")["spec"]["ingress"]
    assert [[port["port"] for port in rule["ports"]] for rule in rules] == [["http"], ["admin"]]
    assert all(rule["from"] for rule in rules)


def test_replicas_are_added_by_a_metric_that_the_service_has():
    [rule] = load("prometheus-adapter-values.yaml")["rules"]["custom"]
    metrics = load("hpa.yaml")["spec"]["metrics"]
    pods = [metric["pods"] for metric in metrics if metric["type"] == "Pods"]
    assert [one["metric"]["name"] for one in pods] == [rule["name"]["as"]]
    families = {metric.name for metric in Metrics().registry.collect()}
    asked = set(re.findall(r"softalign_\w+(?=_(?:sum|count)\{)", rule["metricsQuery"]))
    assert asked == {"softalign_queue_wait_seconds"} <= families
    assert re.fullmatch(rule["name"]["matches"], rule["seriesQuery"].partition("{")[0])
    target = load("hpa.yaml")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", DEPLOYMENT["metadata"]["name"])
    # Two that both set it would take turns.
    assert "replicas" not in DEPLOYMENT["spec"]
