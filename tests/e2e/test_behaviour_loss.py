"""A websocket whose agent is lost ends, and is not left hanging."""

import queue
import signal
import time

import pytest

from programs import ANSWER, SANITIZED
from raw_http import FIN, HANDSHAKE, RST, SWITCH, Client

DEAD_PEER = 45  # seconds without a sign of life, after which an agent counts as lost


@pytest.fixture
def websocket(pair, recorder):
    """(alpha, beta, client, ends): an open websocket; how the origin's side ended goes to `ends`."""
    recorder.begin()
    alpha, beta = pair
    ends = queue.Queue()

    def script(request, peer):
        peer.send(SWITCH)
        ends.put(peer.exactly(4))
        peer.send(b"pong")
        ends.put(peer.end())

    recorder.script = script
    beta.share(recorder.url, "lost")
    with Client(alpha.access("lost")) as client:
        client.send(HANDSHAKE)
        assert client.response_head().status == 101
        client.send(b"ping")
        assert client.exactly(4) == b"pong"
        assert ends.get(timeout=ANSWER) == b"ping"
        yield alpha, beta, client, ends
    recorder.finish()


def test_65_a_killed_agent_ends_its_websockets_at_once(websocket):
    _, beta, client, ends = websocket
    begun = time.monotonic()
    beta.kill()
    assert client.end() in (FIN, RST)
    assert ends.get(timeout=ANSWER) in (FIN, RST)
    assert time.monotonic() - begun < 5


def test_65_also_when_it_is_the_clients_agent(websocket):
    alpha, _, client, ends = websocket
    begun = time.monotonic()
    alpha.kill()
    assert client.end() in (FIN, RST)
    assert ends.get(timeout=ANSWER) in (FIN, RST)
    assert time.monotonic() - begun < 5


@pytest.mark.embedded("between two agents is a router, which alone can miss one of them")
@pytest.mark.skipif(SANITIZED, reason="takes 45 s, once is enough")
def test_65_an_agent_that_says_nothing_any_more_does_not_leave_its_websockets_hanging(websocket):
    """Stopped, not dead: its kernel still answers for it, and the session has to notice."""
    _, beta, client, _ = websocket
    begun = time.monotonic()
    beta.signal(signal.SIGSTOP)
    try:
        client.socket.settimeout(DEAD_PEER + 20)
        assert client.end() in (FIN, RST)
        assert time.monotonic() - begun < DEAD_PEER + 5
    finally:
        beta.signal(signal.SIGCONT)
