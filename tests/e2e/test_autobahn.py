"""The Autobahn suite's client against an echo server, directly and through access and share: every
case must end alike, its close too.

Sections 1 to 7 and 10; all of 1 to 13 with SIMPLON_AUTOBAHN=all, as tests/autobahn/run.sh does.
"""

import json
import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from conformance import summary

SUITE = Path(__file__).resolve().parent.parent / "autobahn"
BUILD = SUITE.parent.parent / "build"
WSTEST = BUILD / "autobahn" / "bin" / "wstest"
PYTHON = WSTEST.with_name("python")

ALL = os.environ.get("SIMPLON_AUTOBAHN") == "all"
CASES = ["*"] if ALL else [f"{section}.*" for section in (1, 2, 3, 4, 5, 6, 7, 10)]
LIMIT = 3600 if ALL else 240
PINNED = (SUITE / "requirements.txt").read_text()
VERSION = PINNED.split("autobahntestsuite==")[1].split()[0]


@pytest.fixture(scope="module")
def suite():
    """Skips where there is no Python 2.7, which the suite needs."""
    made = subprocess.run(
        [SUITE / "environment.sh"], capture_output=True, text=True, timeout=240, check=False
    )
    if made.returncode == 3:
        summary("autobahn", [["every section", "skipped: no Python 2.7 on this machine"]])
        pytest.skip("no Python 2.7 on this machine")
    assert made.returncode == 0, made.stderr


def start(programs, name, address, folder):
    spec = folder / f"{name}.json"
    spec.write_text(
        json.dumps(
            {
                "outdir": str(folder / name),
                "servers": [{"agent": name, "url": f"ws://{address}"}],
                "cases": CASES,
                "exclude-cases": [],
                "exclude-agent-cases": {},
            }
        )
    )
    return programs.program(
        WSTEST, "-m", "fuzzingclient", "-s", spec, title=f"wstest {name}", cwd=folder
    )


def outcomes(folder, name):
    """Of each case: how it went, and how the connection was closed."""
    index = json.loads((folder / name / "index.json").read_text())[name]
    return {case: (each["behavior"], each["behaviorClose"]) for case, each in index.items()}


def test_every_case_ends_through_the_tunnel_as_it_does_directly(suite, programs, pair, tmp_path):
    alpha, beta = pair
    server = programs.program(PYTHON, SUITE / "echo_server.py", title="echo server")
    address = server.wait_line(r"listening on (\S+)").group(1)
    beta.share("http://" + address, "echo")
    runs = [
        start(programs, "direct", address, tmp_path),
        start(programs, "tunnel", alpha.access("echo"), tmp_path),
    ]
    for run in runs:
        assert run.wait(LIMIT) == 0, run.log
    direct, tunnel = outcomes(tmp_path, "direct"), outcomes(tmp_path, "tunnel")
    assert direct.keys() == tunnel.keys()
    sections = Counter(case.split(".")[0] for case in direct)
    assert set(sections) >= set("1234567") | {"10"}
    different = {
        case: {"direct": direct[case], "tunnel": tunnel[case]}
        for case in direct
        if direct[case] != tunnel[case]
    }
    # A server that fails the cases itself would show nothing.
    assert sum(behavior == "FAILED" for behavior, _ in direct.values()) < len(direct) / 20, direct
    summary(
        "autobahn",
        [
            ["suite", f"autobahntestsuite {VERSION}"],
            *(
                [f"section {section}", f"{count} cases, each as directly"]
                for section, count in sorted(sections.items(), key=lambda item: int(item[0]))
                if section in {"1", "2", "3", "4", "5", "6", "7", "10"}
            ),
            ["cases that differ", len(different)],
        ],
    )
    assert not different, different
