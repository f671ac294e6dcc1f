"""schemathesis against the OpenAPI file, which the server itself gives out, and promtool against the metrics."""

import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest


def test_schemathesis_finds_nothing(server, scene):
    examples = os.environ.get("BGAD_EXAMPLES", "30")
    told = subprocess.run(
        [Path(sys.executable).with_name("st"), "run", f"http://{server.at['http']}/openapi.json",
         "--checks", "all",
         # A tensor of the right form need not hold a picture, and names of models are not in the file.
         "--exclude-checks", "positive_data_acceptance,ignored_auth",
         # Models that others are being tested with must stay; the trigger is a door of `bgad watch`.
         "--exclude-path-regex", "/(load|unload|trigger)$",
         "--max-examples", examples, "--generation-deterministic", "--no-color"],
        cwd=scene, capture_output=True, text=True)
    assert told.returncode == 0, told.stdout[-6000:] + told.stderr[-2000:]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_promtool_finds_nothing(server, pictures):
    # Counters that have counted.
    for body in (pictures[0][0], b"no picture"):
        try:
            urllib.request.urlopen(f"http://{server.at['http']}/inspect?model=part", data=body).read()
        except urllib.error.HTTPError as error:
            assert error.code == 400
    with urllib.request.urlopen(f"http://{server.at['http']}/metrics") as answer:
        metrics = answer.read()
    assert b"bgad_requests_total{" in metrics and b"bgad_rejected_total{" in metrics
    told = subprocess.run(["promtool", "check", "metrics"], input=metrics, capture_output=True)
    assert (told.returncode, told.stdout, told.stderr) == (0, b"", b"")
