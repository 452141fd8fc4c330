"""The Autobahn suite's client against an echo server, directly and through access and share: every
case must end alike, its close too.

Sections 1 to 7 and 10. With SIMPLON_AUTOBAHN=all every section there is: what it counts must be what
tests/autobahn/whole.json says; =write makes it so. tests/autobahn/run.sh does either.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from conformance import summary

SUITE = Path(__file__).resolve().parent.parent / "autobahn"
sys.path.insert(0, str(SUITE.parent / "conformance"))

from engine import fingerprint  # noqa: E402

BUILD = SUITE.parent.parent / "build"
WSTEST = BUILD / "autobahn" / "bin" / "wstest"
PYTHON = WSTEST.with_name("python")
WHOLE = SUITE / "whole.json"

MODE = os.environ.get("SIMPLON_AUTOBAHN", "")
# There are no sections 8 and 11; 9 measures limits and 12 and 13 compression, for many minutes.
SECTIONS = (1, 2, 3, 4, 5, 6, 7, 9, 10, 12, 13) if MODE else (1, 2, 3, 4, 5, 6, 7, 10)
# Seconds for both runs together; below the TIMEOUT that CMakeLists.txt gives this test.
LIMIT = 5000 if MODE else 240
PINNED = (SUITE / "requirements.txt").read_text()
VERSION = PINNED.split("autobahntestsuite==")[1].split()[0]


@pytest.fixture(scope="module")
def suite():
    """Skips where there is no Python 2.7, which the suite needs."""
    made = subprocess.run(
        [SUITE / "environment.sh"], capture_output=True, text=True, timeout=240, check=False
    )
    if made.returncode == 3:
        if not MODE:
            # Row for row what a run leaves: a skipped row is no difference to the committed page.
            what = ["suite", *(f"section {each}" for each in SECTIONS), "cases that differ"]
            summary("autobahn", [[each, "skipped: no Python 2.7 on this machine"] for each in what])
        pytest.skip("no Python 2.7 on this machine")
    assert made.returncode == 0, made.stderr


class Run:
    """One run of the suite's client."""

    def __init__(self, programs, name, address, folder):
        self.name = name
        self._reports = folder / name
        spec = folder / f"{name}.json"
        spec.write_text(
            json.dumps(
                {
                    "outdir": str(self._reports),
                    "servers": [{"agent": name, "url": f"ws://{address}"}],
                    "cases": [f"{section}.*" for section in SECTIONS],
                    "exclude-cases": [],
                    "exclude-agent-cases": {},
                }
            )
        )
        command = (PYTHON, "-u", WSTEST, "-m", "fuzzingclient", "-s", spec)
        self.process = programs.program(*command, title=f"wstest {name}", cwd=folder)
        self.planned = int(self.process.wait_line(r"will run (\d+) test cases").group(1))

    def progress(self):
        begun = re.findall(r"Running test case ID (\S+)", self.process.log)
        return f"{self.name} {len(begun)} of {self.planned}" + (f" ({begun[-1]})" if begun else "")

    def outcomes(self):
        """Of each case: how it went, and how the connection was closed. All that was planned: the
        suite's client ends well, too, when it can no longer connect."""
        index = json.loads((self._reports / "index.json").read_text())[self.name]
        assert len(index) == self.planned, self.process.log[-2000:]
        return {case: (each["behavior"], each["behaviorClose"]) for case, each in index.items()}


def wait(runs):
    """Until all have ended well. Says how far they are; a run that takes too long fails."""
    end = time.monotonic() + LIMIT
    for run in runs:
        while True:
            left = end - time.monotonic()
            try:
                assert run.process.wait(max(0, min(30, left))) == 0, run.process.log[-2000:]
                break
            except subprocess.TimeoutExpired:
                said = "; ".join(each.progress() for each in runs)
                print(said)
                assert left > 0, f"not done in {LIMIT} s: {said}"


def by_section(cases):
    """How many cases each section has."""
    counted = Counter(int(case.split(".")[0]) for case in cases)
    return {str(section): counted[section] for section in sorted(counted)}


def test_every_case_ends_through_the_tunnel_as_it_does_directly(suite, programs, pair, tmp_path):
    alpha, beta = pair
    server = programs.program(PYTHON, SUITE / "echo_server.py", title="echo server")
    address = server.wait_line(r"listening on (\S+)").group(1)
    beta.share("http://" + address, "echo")
    runs = [
        Run(programs, "direct", address, tmp_path),
        Run(programs, "tunnel", alpha.access("echo"), tmp_path),
    ]
    wait(runs)
    direct, tunnel = (run.outcomes() for run in runs)
    assert direct.keys() == tunnel.keys()
    sections = by_section(direct)
    assert sections.keys() == {str(section) for section in SECTIONS}
    different = {
        case: {"direct": direct[case], "tunnel": tunnel[case]}
        for case in direct
        if direct[case] != tunnel[case]
    }
    # A server that fails or lacks what the cases ask for would show nothing.
    bad = {case: how for case, how in direct.items() if how[0] in ("FAILED", "UNIMPLEMENTED")}
    assert len(bad) < len(direct) / 20, bad
    if MODE:
        result = {
            "suite": VERSION,
            "cases": sections,
            "different": different,
            "directly": dict(sorted(Counter(behavior for behavior, _ in direct.values()).items())),
        }
        print(json.dumps(result))
        if MODE == "write":
            of = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "engine": fingerprint()}
            WHOLE.write_text(json.dumps(of | result, indent=2) + "\n")
        assert not different, different
        assert json.loads(WHOLE.read_text()).items() >= result.items()
        return
    summary(
        "autobahn",
        [
            ["suite", f"autobahntestsuite {VERSION}"],
            *([f"section {each}", f"{count} cases, each as directly"] for each, count in sections.items()),
            ["cases that differ", len(different)],
        ],
    )
    assert not different, different
