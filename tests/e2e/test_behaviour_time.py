"""What takes too long ends as the options say, and what may take long is left alone.

A wait here is for something that must not come, and is bounded by a socket's readiness.
"""

import queue
import select

import pytest

from raw_http import CHUNKED, FIN, HANDSHAKE, OK, RST, SWITCH, Client, Cut, message, reply

HOST = "Host: a"
GET = message("GET / HTTP/1.1", HOST)
SOON = "500ms"
QUIET = 1.5  # seconds, three times the limits of these tests
DRIP = 0.1  # seconds; less than SOON


def nothing_comes(client):
    return select.select([client.socket], [], [], QUIET) == ([], [], [])


@pytest.fixture
def asking(paths):
    """A client of a path with these options at the access, and at the share."""
    clients = []

    def make(*access, share=()):
        paths.share(*share)
        clients.append(Client(paths.access(*access)))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def test_20_a_head_that_does_not_end_is_answered_408(asking, origin):
    client = asking("--timeout-head", SOON)
    client.send(b"GET / HTTP/1.1\r\nHo")
    answer = client.response()
    assert (answer.status, client.end()) == (408, FIN)
    assert origin.requests == []


@pytest.fixture
def cuts(origin):
    """How the requests ended whose bodies did not come whole."""
    ends = queue.Queue()

    def script(request, peer):
        try:
            peer.body(request)
        except Cut as end:
            ends.put(end.how)

    origin.script = script
    return ends


def test_20_a_body_that_stops_is_answered_408_and_its_request_is_cut(asking, cuts):
    client = asking("--timeout-body", SOON)
    client.send(message("POST / HTTP/1.1", HOST, "Content-Length: 5"), b"ab")
    assert client.response().status == 408
    assert cuts.get(timeout=60) in (FIN, RST)


def test_20_a_body_that_drips_is_answered_408_and_its_request_is_cut(asking, cuts):
    client = asking("--timeout-body", SOON)
    client.send(message("POST / HTTP/1.1", HOST, "Content-Length: 1000"))
    # Each byte comes in time; so many do not.
    while select.select([client.socket], [], [], DRIP) == ([], [], []):
        client.send(b"x")
    assert client.response().status == 408
    assert cuts.get(timeout=60) in (FIN, RST)


def test_20_an_idle_connection_is_closed_without_a_word(asking, origin):
    client = asking("--timeout-idle", SOON)
    assert client.ask(GET).status == 200
    assert client.end() == FIN


def test_20_a_client_that_never_asks_is_closed_without_a_word(asking):
    client = asking("--timeout-head", SOON)
    assert client.end() == FIN


def test_40_an_origin_that_does_not_answer_is_a_504_only_where_asked(asking, origin):
    origin.script = lambda request, peer: peer.more()
    client = asking(share=("--timeout-first-byte", SOON))
    client.send(GET)
    answer = client.response()
    assert (answer.status, answer.value("simplon-error")) == (
        504,
        "hop=target; reason=timed_out",
    )


def test_62_no_limit_of_requests_cuts_a_quiet_websocket(asking, origin):
    short = [f"--timeout-{what}" for what in ("head", "idle", "first-byte", "body", "connect")]
    options = [text for option in short for text in (option, SOON)]
    origin.script = websocket
    client = asking(*options, share=options)
    client.send(HANDSHAKE)
    assert client.response_head().status == 101
    assert nothing_comes(client)
    client.send(b"ping")
    assert client.exactly(4) == b"ping"


def websocket(request, peer):
    """Echoes until the end, and keeps how that came."""
    peer.send(SWITCH)
    while data := peer.some():
        peer.send(data)
    request.cut = peer.ended


def test_62_a_limit_that_was_asked_for_ends_it_at_both_ends(asking, origin):
    ends = queue.Queue()

    def script(request, peer):
        websocket(request, peer)
        ends.put(peer.ended)

    origin.script = script
    client = asking("--timeout-websocket-idle", SOON)
    client.send(HANDSHAKE)
    assert client.response_head().status == 101
    client.send(b"ping")
    assert client.exactly(4) == b"ping"
    assert client.end() == RST
    assert ends.get(timeout=60) == RST


def test_62_a_long_poll_and_a_quiet_stream_are_not_cut(asking, origin):
    short = ("--timeout-head", SOON, "--timeout-idle", SOON, "--timeout-body", SOON)
    client = asking(*short, share=short)
    gate = queue.Queue()

    def held(request, peer):
        gate.get(timeout=60)

    origin.script = reply(held, CHUNKED, b"1\r\na\r\n", held, b"0\r\n\r\n")
    client.send(GET)
    assert nothing_comes(client)
    gate.put(None)
    assert client.response_head().status == 200
    assert client.upto(b"a\r\n") == b"1\r\na\r\n"
    assert nothing_comes(client)
    gate.put(None)
    assert client.upto(b"0\r\n\r\n") == b"0\r\n\r\n"
    origin.script = reply(OK)
    assert client.ask(GET).status == 200


def test_20_one_address_has_only_so_many_connections_where_asked(asking, connect):
    first = asking("--max-connections-per-client", "2", "--trust-proxy", "none")
    assert first.ask(GET).status == 200
    address = "%s:%d" % first.socket.getpeername()
    second = connect(address)
    assert second.ask(GET).status == 200
    third = connect(address)
    third.send(GET)
    answer = third.response()
    assert (answer.status, third.end()) == (503, FIN)
    assert answer.value("retry-after") == "1"
    second.close()
    # Its place is free once the access has seen that.
    while (answer := connect(address).ask(GET)).status == 503:
        pass
    assert answer.status == 200
