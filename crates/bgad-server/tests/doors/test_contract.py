"""schemathesis against the OpenAPI file, which the server itself gives out."""

import os
import subprocess
import sys
from pathlib import Path


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
