"""Fixtures of the end-to-end tests: real binaries, real sockets, ports chosen by the kernel.

Readiness is always an event: a ready line, an answer, a file. Every process that a test starts is
ended, and its log shown when the test fails.
"""

import subprocess
from pathlib import Path

import pytest

from conformance import record_row
from programs import ANSWER, Programs


@pytest.fixture
def programs(tmp_path):
    """Starts agents and tools; ends them all after the test."""
    running = Programs(tmp_path)
    yield running
    running.end()


@pytest.fixture
def agent(programs):
    """One agent, which is its own hub."""
    return programs.agent("alpha")


@pytest.fixture
def pair(programs):
    """Agent alpha, which is the hub, and agent beta, which joined it."""
    alpha = programs.agent("alpha")
    beta = programs.agent("beta", hub="none")
    beta.join(alpha.invite("beta"))
    return alpha, beta


@pytest.fixture
def endpoint(programs):
    """The test endpoint on a free port; .address is host:port."""
    return programs.tool("test", "endpoint", "--listen", "127.0.0.1:0")


@pytest.fixture
def node_echo():
    """What Node's `ws` (Debian's node-ws) gets back for a text."""

    def echo(url, text, host=None):
        done = subprocess.run(
            ["node", Path(__file__).with_name("echo.js"), url, text, *([host] if host else [])],
            capture_output=True,
            text=True,
            timeout=ANSWER,
            env={"PATH": "/usr/bin:/bin", "NODE_PATH": "/usr/share/nodejs"},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return echo


@pytest.fixture
def peer_version(request):
    """Says the version of the third party's program; see conformance.py."""
    return lambda version: request.node.user_properties.append(("peer_version", version))


def pytest_configure(config):
    config.addinivalue_line("markers", "matrix(side, peer, what): a row of the conformance table")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    record_row(item, report)
    if report.failed and "programs" in getattr(item, "funcargs", {}):
        for title, text in item.funcargs["programs"].logs():
            report.sections.append((title, text))
