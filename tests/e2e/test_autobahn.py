"""The Autobahn suite's client against an echo server, directly and through access and share, on the
embedded overlay and on OpenZiti: every case must end alike, its close too.

Sections 1 to 7 and 10. With SIMPLON_AUTOBAHN=all every section there is, on the embedded overlay: what
it counts must be what tests/autobahn/whole.json says; =write makes it so. tests/autobahn/run.sh does
either.
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
from overlays import EMBEDDED, OPENZITI, embedded_pair, ziti_pair

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
WHERE = {EMBEDDED: "embedded", OPENZITI: "OpenZiti"}
THROUGH = (EMBEDDED,) if MODE else (EMBEDDED, OPENZITI)
# Seconds for all runs together; below the TIMEOUT that CMakeLists.txt gives this test.
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
            differ = [f"cases that differ, {WHERE[each]}" for each in THROUGH]
            what = ["suite", *(f"section {each}" for each in SECTIONS), *differ]
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


def shared(overlay, programs, ziti, address):
    """host:port of an access to what is at the address."""
    make = {EMBEDDED: embedded_pair, OPENZITI: lambda programs: ziti_pair(programs, ziti)}
    alpha, beta = make[overlay](programs)
    beta.share("http://" + address, "echo")
    return alpha.access("echo")


def test_every_case_ends_through_the_tunnel_as_it_does_directly(suite, programs, ziti, tmp_path):
    server = programs.program(PYTHON, SUITE / "echo_server.py", title="echo server")
    address = server.wait_line(r"listening on (\S+)").group(1)
    ways = {"direct": address} | {each: shared(each, programs, ziti, address) for each in THROUGH}
    runs = [Run(programs, name, at, tmp_path) for name, at in ways.items()]
    wait(runs)
    direct, *tunnels = (run.outcomes() for run in runs)
    sections = by_section(direct)
    assert sections.keys() == {str(section) for section in SECTIONS}
    different = {}
    for overlay, tunnel in zip(THROUGH, tunnels, strict=True):
        assert direct.keys() == tunnel.keys()
        different[overlay] = {
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
            "different": different[EMBEDDED],
            "directly": dict(sorted(Counter(behavior for behavior, _ in direct.values()).items())),
        }
        print(json.dumps(result))
        if MODE == "write":
            of = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "engine": fingerprint()}
            WHOLE.write_text(json.dumps(of | result, indent=2) + "\n")
        assert not any(different.values()), different
        assert json.loads(WHOLE.read_text()).items() >= result.items()
        return
    summary(
        "autobahn",
        [
            ["suite", f"autobahntestsuite {VERSION}"],
            *([f"section {each}", said(each, count, different)] for each, count in sections.items()),
            *([f"cases that differ, {WHERE[each]}", len(cases)] for each, cases in different.items()),
        ],
    )
    assert not any(different.values()), different


def said(section, count, different):
    """Of a section, on each overlay; table.py fails where it says FAILED."""
    failed = [
        f"{WHERE[overlay]}: {', '.join(bad)}"
        for overlay, cases in different.items()
        if (bad := [case for case in cases if case.split(".")[0] == section])
    ]
    how = f"each as directly, {' and '.join(WHERE.values())}"
    return f"FAILED, {'; '.join(failed)}" if failed else f"{count} cases, {how}"
