"""Every metric is documented, and dashboard and alerts ask only for what there is."""

import json
import re
from pathlib import Path

import pytest
import yaml

from app.metrics import Metrics
from app.request_log import Facts
from app.settings import Settings

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs/operations.md").read_text("utf-8")
API = (ROOT / "docs/api.md").read_text("utf-8")
DASHBOARD = ROOT / "deploy/grafana/softalign.json"
ALERTS = ROOT / "deploy/prometheus/alerts.yml"
SUFFIXES = {
    "counter": {"_total"},
    "gauge": {""},
    "histogram": {"_bucket", "_count", "_sum"},
}
METRICS = {
    metric.name: metric.type
    for metric in Metrics().registry.collect()
    if metric.name.startswith("softalign_")
}


def exposed_names():
    return {name + suffix for name, kind in METRICS.items() for suffix in SUFFIXES[kind]} | {
        "process_resident_memory_bytes"
    }


def named_in(expression):
    return set(re.findall(r"\b(?:softalign|process)_[a-z_]+", expression))


def dashboard_expressions():
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def alert_rules():
    groups = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_documented_as_it_is_exposed(name):
    shown = f"{name}_total" if METRICS[name] == "counter" else name
    assert f"| `{shown}` |" in OPERATIONS


def test_no_metric_is_documented_that_does_not_exist():
    documented = set(re.findall(r"\| `(softalign_\w+)` \|", OPERATIONS))
    assert documented == {
        f"{name}_total" if kind == "counter" else name for name, kind in METRICS.items()
    }


def test_the_dashboard_asks_for_every_metric_and_for_none_that_does_not_exist():
    asked = set().union(*map(named_in, dashboard_expressions()))
    assert asked <= exposed_names()
    for name, kind in METRICS.items():
        assert asked & {name + suffix for suffix in SUFFIXES[kind]}, name


def test_the_panels_of_the_dashboard_do_not_overlap():
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert len({panel["id"] for panel in panels}) == len(panels)


@pytest.mark.parametrize("rule", alert_rules(), ids=lambda rule: rule["alert"])
def test_every_alert_asks_for_metrics_that_exist_and_says_what_to_do(rule):
    asked = named_in(rule["expr"])
    assert asked
    assert asked <= exposed_names()
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert {"summary", "description"} <= rule["annotations"].keys()
    assert rule["expr"].count("(") == rule["expr"].count(")")


@pytest.mark.parametrize("name", Facts.__annotations__)
def test_every_fact_of_a_log_line_is_documented(name):
    assert f"`{name}`" in OPERATIONS


@pytest.mark.parametrize(
    "name",
    [
        "header_seconds", "body_seconds", "keep_alive_seconds", "max_connections", "send_seconds",
        "max_connections_per_address", "allowed_hosts", "drain_seconds", "shutdown_seconds",
        "stall_seconds", "admin_host", "admin_port",
    ],
)  # fmt: skip
def test_every_setting_of_a_running_service_is_explained(name):
    assert name in Settings.model_fields
    assert f"`{name}`" in OPERATIONS
    assert f"| `{name}` |" in API
