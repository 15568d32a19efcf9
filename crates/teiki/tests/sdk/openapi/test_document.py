"""The OpenAPI document of a running server: it is valid, and schemathesis finds no answer that it does not describe.

Short: the same requests every time. With TEIKI_FUZZ_SECONDS: others every time, for about so long, and in sequences too.
"""

import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import openapi_spec_validator
import requests

import objects

FOLDER = pathlib.Path(__file__).parent
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "ignored_auth",
    "what_is_not_allowed_is_refused",
    "nothing_of_another_account",
]
# A request waits 25 seconds for its payment and as long for another one with its key, but is never left without an answer.
REQUEST_SECONDS = "60"
# Requests of each kind for each operation, beside the systematic ones.
SHORT = ["--phases", "examples,coverage,fuzzing", "--max-examples", "8", "--generation-deterministic"]
LONG = ["--generation-database", "none", "--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "200", "--max-time"]
# What is always refused: there are no payouts yet, and a card holder has to answer first.
NEVER_DONE = {
    "GET /v1/balances/{balance}",
    "GET /v1/statements/{statement}",
    "GET /v1/terms/{term}",
    "GET /v1/transfers/{transfer}",
    "GET /v1/transfers/{transfer}/charges",
    "POST /v1/balances/{balance}/statement_urls",
    "POST /v1/statements/{statement}/statement_urls",
    "POST /v1/charges/{charge}/tds_finish",
    "POST /v1/tokens/{token}/tds_finish",
}
# How many others may be without luck: what is done to an object depends on what was done to it before.
UNLUCKY_MAX = 6


class TheDocument(unittest.TestCase):
    def setUp(self):
        self.url, self.key, self.other_key = objects.of_environment()

    def test_it_is_valid(self):
        document = requests.get(self.url + "/openapi.json", timeout=objects.PATIENCE_SECONDS).json()
        openapi_spec_validator.validate(document)

    def test_every_answer_is_described_and_shows_nothing_of_another_account(self):
        ids = objects.make(self.url, self.key, self.other_key)
        seconds = os.environ.get("TEIKI_FUZZ_SECONDS")
        with tempfile.TemporaryDirectory() as folder:
            report = pathlib.Path(folder, "report.ndjson")
            environment = {
                **os.environ,
                "PYTHONPATH": str(FOLDER),
                "PYTHONDONTWRITEBYTECODE": "1",
                "SCHEMATHESIS_HOOKS": "hooks",
                "TEIKI_FUZZ_IDS": json.dumps(ids),
            }
            command = [pathlib.Path(sys.executable).with_name("schemathesis"), "run", self.url + "/openapi.json"]
            command += ["--auth", self.key + ":", "--checks", ",".join(CHECKS)]
            command += ["--request-timeout", REQUEST_SECONDS]
            command += ["--no-color", "--warnings", "off", "--continue-on-failure"]
            command += ["--report", "ndjson", "--report-ndjson-path", report]
            command += [*LONG, seconds] if seconds else SHORT
            run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
            self.assertEqual(run.returncode, 0, run.stdout[-20000:] + run.stderr[-5000:])
            print(run.stdout[-600:])
            self.was_reached(statuses(report))

    def was_reached(self, seen):
        """What is only ever refused proves little: nearly everything was done at least once, and nothing was over a limit."""
        self.assertGreater(len(seen), 70)
        refused = {operation for operation, found in seen.items() if 200 not in found} - NEVER_DONE
        self.assertLessEqual(len(refused), UNLUCKY_MAX, refused)
        self.assertEqual([operation for operation, found in seen.items() if 429 in found], [])


def statuses(report):
    """How often each operation was answered with each status."""
    seen = collections.defaultdict(collections.Counter)
    with open(report, encoding="utf-8") as lines:
        for line in lines:
            recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
            for interaction in recorder.get("interactions", {}).values():
                seen[recorder["label"]][(interaction.get("response") or {}).get("status_code")] += 1
    return seen


if __name__ == "__main__":
    unittest.main()
