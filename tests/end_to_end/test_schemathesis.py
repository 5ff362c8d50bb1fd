"""Requests that are made from the OpenAPI document, good and bad: each answer is as it says."""

import re
import subprocess
import sys

import pytest

MOST_SECONDS = 550
EXAMPLES = 200
LEAST_CASES = 2_000

# Limits of an operator are not in the document: what it allows may still be refused for them.
# A busy machine is no failure: 503 and 504 say that one may try again.
CONFIGURATION = """
[checks.not_a_server_error]
expected-statuses = ["2xx", "4xx", 503, 504]
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 404, 406, 409, 413, 422, 503, 504]
[checks.negative_data_rejection]
expected-statuses = [400, 404, 405, 406, 409, 413, 414, 415, 422, 431]
"""


@pytest.mark.timeout(600)
def test_two_thousand_requests_are_answered_as_the_document_says(start, tmp_path):
    limits = {"max_output_tokens": 8, "max_rows": 16, "stall_seconds": 60}  # short work
    service = start(max_caller_share=1, **limits)
    configuration = tmp_path / "schemathesis.toml"
    configuration.write_text(CONFIGURATION)
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(configuration)),
        *("run", f"{service.url}/openapi.json", "--seed", "1", "--checks", "all"),
        *("--max-examples", str(EXAMPLES), "--warnings", "off", "--continue-on-failure"),
    ]
    run = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=MOST_SECONDS, check=False
    )
    assert run.returncode == 0, run.stdout[-8_000:] + run.stderr[-2_000:]
    assert int(re.search(r"(\d+) generated", run.stdout)[1]) >= LEAST_CASES
    assert service.status("/readyz") == 200
    assert (
        service.metric("requests_total", '{method="POST",route="/v1/translate",status="200"}') > 0
    )
    assert '"status": 500' not in "".join(service.log)
