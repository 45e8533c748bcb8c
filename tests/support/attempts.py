"""Schemathesis over a description of the API, in a process of its own, and what it was answered.

In a process of its own, because its plugin for pytest would come with every run of the tests.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

Document = dict[str, Any]

SEED = int(os.environ.get("API_SEED", "1"))
EXAMPLES = int(os.environ.get("API_EXAMPLES", "6"))
"""Attempts at random at each operation: `API_EXAMPLES=2000 scripts/test tests/site/test_openapi.py` tries harder, `API_SEED`
tries others."""

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "ignored_auth",
)
"""Left out: `positive_data_acceptance`, since a schema cannot say everything (a colour that can be read, a text that is
not blank), and `missing_required_header`, of which there are none."""


def closed(document: Document) -> Document:
    """The same description with closed shapes: a member that it does not name is a mistake of one of the two."""

    def close(value: Any) -> None:
        if isinstance(value, list):
            for item in value:
                close(item)
        if isinstance(value, dict):
            if value.get("type") == "object" and "properties" in value:
                value["additionalProperties"] = False
            for item in value.values():
                close(item)

    found = copy.deepcopy(document)
    close(found["components"]["schemas"])
    return found


def parameters(document: Document, kept: Callable[[Document], bool]) -> Document:
    """The same description with those parameters only that `kept` keeps."""
    found = copy.deepcopy(document)
    for methods in found["paths"].values():
        for operation in methods.values():
            operation["parameters"] = [p for p in operation.get("parameters", []) if kept(p)]
    return found


def attempt(
    document: Document,
    url: str,
    folder: Path,
    headers: Mapping[str, str],
    names: Iterable[str],
    phases: str,
) -> Counter[tuple[str, int]]:
    """Try these operations, by `operationId`, and count the answers by operation and status.

    `phases` of `examples` (those of the description), `coverage` (each bound, just inside and just outside), and
    `fuzzing` (at random, `EXAMPLES` an operation). Fails the test with the report where a check failed.
    """
    (folder / "openapi.json").write_text(json.dumps(document))
    command = [sys.executable, "-m", "schemathesis.cli", "run", "openapi.json", "--url", url]
    for name, value in headers.items():
        command += ["--header", f"{name}: {value}"]
    for name in sorted(names):
        command += ["--include-operation-id", name]
    command += ["--checks", ",".join(CHECKS), "--max-examples", str(EXAMPLES)]
    command += ["--seed", str(SEED), "--generation-database", "none"]
    command += ["--phases", phases, "--suppress-health-check", "all"]
    command += ["--warnings", "off", "--no-color", "--request-timeout", "20"]
    command += ["--report", "ndjson", "--report-ndjson-path", "report.ndjson"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
    return answers(folder / "report.ndjson")


def answers(report: Path) -> Counter[tuple[str, int]]:
    """How often each operation was answered with each status."""
    found: Counter[tuple[str, int]] = Counter()
    for line in report.read_text().splitlines():
        scenario = json.loads(line).get("ScenarioFinished")
        if scenario is not None:
            recorder = scenario["recorder"]
            for each in recorder.get("interactions", {}).values():
                answer = each["response"] or {}
                found[recorder["label"], answer.get("status_code", 0)] += 1
    return found
