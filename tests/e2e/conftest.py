"""Fixtures of the end-to-end tests: real binaries, real sockets, ports chosen by the kernel.

Readiness is always an event: a ready line, an answer, a file. Every process that a test starts is
ended, and its log shown when the test fails.
"""

import signal
import subprocess
from pathlib import Path

import pytest

from conformance import record_row
from overlays import OPENZITI, embedded_pair, parametrise, ziti_pair
from paths import Paths
from programs import ANSWER, Programs
from raw_http import FIN, Client, Origin, message

pytest_plugins = ["ziti_fixtures"]


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


@pytest.fixture(scope="session")
def overlay(request):
    """Which one the pairs of agents meet on; overlays.py gives a test its parameters."""
    return request.param


@pytest.fixture
def pair(request, programs, overlay):
    """Agents alpha and beta, which meet on the overlay; on the embedded one alpha is the hub."""
    if overlay == OPENZITI:
        return ziti_pair(programs, request.getfixturevalue("ziti"))
    return embedded_pair(programs)


@pytest.fixture(scope="session")
def standing(tmp_path_factory):
    """Programs that stay for all tests of a run."""
    running = Programs(tmp_path_factory.mktemp("standing"))
    yield running
    running.end()


@pytest.fixture(scope="session")
def standing_pair(request, standing, overlay):
    """As `pair`, for all tests of a run."""
    if overlay == OPENZITI:
        return ziti_pair(standing, request.getfixturevalue("ziti"))
    return embedded_pair(standing)


@pytest.fixture(scope="session")
def recorder():
    """The origin that stays for all tests of a run; tests use `origin`."""
    server = Origin()
    yield server
    server.close()


@pytest.fixture(scope="session")
def access(standing_pair, recorder):
    """host:port: from here a request goes through alpha, the overlay and beta to `origin`."""
    alpha, beta = standing_pair
    beta.share(recorder.url, "origin", "--public")
    return alpha.access("origin")


@pytest.fixture
def origin(recorder, access):
    """What a request to `access` reaches: records it, and answers by .script (200, unless told)."""
    recorder.begin()
    yield recorder
    recorder.finish()


@pytest.fixture
def connect(access, origin):
    """Makes a raw client of `access` (or of another address), closed after the test."""
    clients = []

    def client(address=access):
        clients.append(Client(address))
        return clients[-1]

    yield client
    for made in clients:
        made.close()


@pytest.fixture
def client(connect):
    """One raw client of `access`."""
    return connect()


@pytest.fixture
def paths(standing_pair, origin):
    made = Paths(standing_pair, origin)
    try:
        yield made
    finally:
        made.delete()


@pytest.fixture
def refused(connect, origin):
    """Sends what must be refused: one answer of that status, the end, and nothing at the origin."""

    def send(raw, *statuses):
        client = connect()
        client.send(raw)
        answer = client.response()
        assert answer.status in statuses, answer.raw
        assert answer.value("connection") == "close"
        assert client.end() == FIN, "one answer, however many requests seem to be in the bytes"
        assert connect().ask(message("GET /after HTTP/1.1", "Host: a")).status == 200
        assert [request.target for request in origin.wait(1)] == ["/after"]
        return answer

    return send


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


def pytest_generate_tests(metafunc):
    parametrise(metafunc)


def pytest_configure(config):
    config.addinivalue_line("markers", "embedded(why): cannot be shown on another overlay")
    config.addinivalue_line("markers", "matrix(side, peer, what): a row of the conformance table")
    # A shell starts what goes into its background with SIGINT ignored, and that is inherited; a signal
    # that we handle is at its default in what we start.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    record_row(item, report)
    used = getattr(item, "funcargs", {})
    if report.failed:
        for programs in (used[name] for name in ("programs", "standing") if name in used):
            report.sections.extend(programs.logs())
