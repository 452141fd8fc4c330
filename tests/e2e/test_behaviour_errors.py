"""What a client gets when the other end is wrong, gone, or closed just now, and how it is told."""

import contextlib
import hashlib
import json
import queue
import socket
import threading
import time

import pytest

from programs import ANSWER, SANITIZED
from raw_http import CHUNKED, FIN, OK, RST, Client, in_turn, may_be_cut, message, play, reply

HOST = "Host: a"
GET = message("GET / HTTP/1.1", HOST)
POST = "POST / HTTP/1.1"
SMALL = 512  # bytes of an answer of ours


@pytest.fixture(scope="module")
def narrow(standing_pair, recorder):
    """{where: host:port} of accesses by which a body may have 1,000 bytes, limited there."""
    alpha, beta = standing_pair
    beta.share(recorder.url, "wide")
    beta.share(recorder.url, "narrow", "--max-body", "1000")
    return {
        "access": alpha.access("wide", "--max-body", "1000"),
        "share": alpha.access("narrow"),
    }


def closed_or_drained(client, answer):
    """In order, in both cases: a reset could overtake the answer. The rest is never a request."""
    if answer.value("connection") == "close":
        assert client.end() == FIN
    else:  # the access has read all of it, for the share that refused it
        assert client.ask(GET).status == 200


@pytest.mark.parametrize("at", ["access", "share"])
def test_19_a_body_that_says_it_is_too_large_gets_413_and_goes_nowhere(narrow, connect, origin, at):
    client = connect(narrow[at])
    client.send(message(POST, HOST, "Content-Length: 1001"), b"x" * 1001)
    answer = client.response()
    assert answer.status == 413
    assert "reason=body_too_large" in answer.value("simplon-error")
    closed_or_drained(client, answer)
    assert connect(narrow[at]).ask(GET).status == 200
    assert {request.method for request in origin.requests} == {"GET"}


@pytest.mark.parametrize("at", ["access", "share"])
def test_19_a_body_that_turns_out_too_large_gets_413_and_is_cut(narrow, connect, origin, at):
    origin.script = may_be_cut(reply(OK))
    client = connect(narrow[at])
    chunk = b"1f4\r\n" + b"x" * 500 + b"\r\n"
    client.send(message(POST, HOST, "Transfer-Encoding: chunked"), chunk, chunk)
    request = origin.wait(1)[0]
    request.wait_body(1000)
    client.send(b"1\r\nx\r\n0\r\n\r\n")
    answer = client.response()
    assert answer.status == 413
    request.wait_cut()
    assert len(request.body) == 1000
    closed_or_drained(client, answer)


@pytest.mark.parametrize("at", ["access", "share"])
def test_19_a_body_that_fits_passes(narrow, connect, origin, at):
    client = connect(narrow[at])
    assert client.ask(message(POST, HOST, "Content-Length: 1000", body=b"x" * 1000)).status == 200
    chunked = b"3e8\r\n" + b"y" * 1000 + b"\r\n0\r\n\r\n"
    assert client.ask(message(POST, HOST, "Transfer-Encoding: chunked", body=chunked)).status == 200
    assert [request.wait_complete().body[:1] for request in origin.wait(2)] == [b"x", b"y"]


def test_19_there_is_no_limit_unless_one_is_set(client, origin):
    got = queue.Queue()

    def script(request, peer):
        got.put(peer.digest(request.length))
        peer.send(OK)

    origin.script = script
    body = b"0123456789abcdef" * (2 * 1024 * 1024)
    client.send(message(POST, HOST, f"Content-Length: {len(body)}"), body)
    assert client.response().status == 200
    assert got.get(timeout=ANSWER) == hashlib.sha256(body).digest()


@pytest.mark.parametrize(
    "raw",
    [
        message("HTTP/1.1 200 OK", "Content-Length: 2", "Transfer-Encoding: chunked", body=b"ok"),
        message("HTTP/1.1 200 OK", "Content-Length: 2", "Content-Length: 3", body=b"ok!"),
        message("HTTP/1.1 200 OK", "Content-Length: -2", body=b"ok"),
        message("HTTP/1.1 200 OK", "Content-Length: two", body=b"ok"),
        message("HTTP/1.1 200 OK", "Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
        message("HTTP/1.1 200 OK", "Transfer-Encoding: identity", body=b"ok"),
        message("HTTP/1.0 200 OK", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        message("HTTP/1.1 20 OK", "Content-Length: 0"),
        message("HTTP/1.1 2000 OK", "Content-Length: 0"),
        message("HTTP/2.0 200 OK", "Content-Length: 0"),
        message("HTTP/1.1 200 OK", "no field"),
        message("HTTP/1.1 200 OK", "X\0: y"),
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + b"\0" * 18 + b"\r\n",
        CHUNKED + b"nonsense\r\n",
        CHUNKED + b"0x2\r\nok\r\n0\r\n\r\n",
    ],
)
def test_28_an_answer_that_is_framed_wrong_is_a_502(client, origin, raw):
    ends = []
    ended = threading.Event()

    def script(request, peer):
        peer.send(raw)
        ends.append(peer.end())
        ended.set()

    origin.script = script
    answer = client.ask(GET)
    assert answer.status == 502
    assert "hop=target" in answer.value("simplon-error")
    assert ended.wait(ANSWER), "the origin's connection is closed, not used again"
    origin.script = reply(OK)
    assert client.ask(GET).body == b"ok", "the client's lives on"


def closing(end):
    return lambda request, peer: play(request, peer, end)


@pytest.mark.parametrize("end", [FIN, RST])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE"])
def test_37_a_request_that_may_be_repeated_is_when_a_kept_connection_ends(client, origin, method, end):
    origin.script = in_turn(reply(OK), closing(end), reply(OK))
    client.ask(GET)
    answer = client.ask(message(f"{method} /again HTTP/1.1", HOST, "X-A: b"), method)
    assert answer.status == 200
    first, lost, again = origin.wait(3)
    assert first.connection is lost.connection
    assert again.connection is not first.connection
    assert lost.raw == again.raw


def test_37_its_body_is_sent_again(client, origin):
    origin.script = in_turn(reply(OK), reply(FIN), reply(OK))
    client.ask(GET)
    put = message("PUT / HTTP/1.1", HOST, "Content-Length: 4", body=b"body")
    assert client.ask(put).status == 200
    _, lost, again = origin.wait(3)
    assert (lost.raw, lost.body) == (again.raw, again.wait_complete().body)


@pytest.mark.parametrize("end", [FIN, RST])
@pytest.mark.parametrize("method", ["POST", "PATCH", "LOCK"])
def test_37_any_other_request_is_not(client, origin, method, end):
    origin.script = in_turn(reply(OK), reply(end))
    client.ask(GET)
    request = message(f"{method} / HTTP/1.1", HOST, "Content-Length: 4", body=b"body")
    assert client.ask(request).status == 502
    assert len(origin.wait(2)) == 2


def test_37_not_even_one_that_may_be_when_its_body_is_gone(client, origin):
    large = b"x" * 300_000
    origin.script = in_turn(reply(OK), reply(FIN))
    client.ask(GET)
    put = message("PUT / HTTP/1.1", HOST, f"Content-Length: {len(large)}", body=large)
    assert client.ask(put).status == 502
    assert len(origin.wait(2)) == 2


def test_37_once_and_not_more_often(client, origin):
    origin.script = in_turn(reply(OK), closing(FIN), closing(FIN))
    client.ask(GET)
    assert client.ask(GET).status == 502
    assert len(origin.wait(3)) == 3


def test_37_not_on_a_new_connection(client, origin):
    origin.script = in_turn(closing(FIN))
    assert client.ask(GET).status == 502
    assert len(origin.wait(1)) == 1


def test_37_not_when_a_byte_of_the_answer_has_come(client, origin):
    origin.script = in_turn(reply(OK), reply(b"HTTP/1.1 2", FIN))
    client.ask(GET)
    assert client.ask(GET).status == 502
    assert len(origin.wait(2)) == 2


def test_37_any_request_goes_to_a_new_connection_when_no_byte_was_sent(client, origin):
    """The origin has closed before the request comes: it is not sent on that connection."""
    closed = threading.Event()
    origin.script = in_turn(reply(OK, FIN, lambda request, peer: closed.set()), reply(OK))
    client.ask(GET)
    assert closed.wait(ANSWER)
    answer = client.ask(message(POST, HOST, "Content-Length: 4", body=b"body"))
    assert answer.status == 200
    first, second = origin.wait(2)
    assert first.connection is not second.connection
    assert second.body == b"body"


@pytest.mark.parametrize(
    "head, status",
    [
        (message(POST, HOST, "Content-Length: x"), 400),
        (message("GET / HTTP/3.7", HOST), 505),
        (message("GET / HTTP/1.1", HOST, *(f"X-{n}: y" for n in range(200))), 431),
        (message("GET /" + "a" * 20_000 + " HTTP/1.1", HOST), 414),
        (message(POST, HOST, "Transfer-Encoding: chunked", body=b"nonsense\r\n"), 400),
        (message("CONNECT a:1 HTTP/1.1", HOST), 405),
        (message(POST, HOST, "Expect: x", "Content-Length: 100000000"), 417),
    ],
)
def test_39_a_client_that_is_still_sending_can_read_why_it_was_refused(client, origin, head, status):
    client.send(head)
    for _ in range(64):  # 4 MiB that nobody wants: without lingering they would be met by a reset
        client.send(b"x" * 65536)
    answer = client.response()
    assert (answer.status, answer.value("connection")) == (status, "close")
    assert client.end() == FIN


def test_39_but_not_for_ever(client, origin):
    """Lingering is bounded: a client that never ends is let go."""
    client.send(message("GET / HTTP/3.7", HOST))
    assert client.response().status == 505
    begun = time.monotonic()
    with pytest.raises(OSError):
        while time.monotonic() - begun < ANSWER:
            client.send(b"x" * 65536)


@pytest.fixture
def nobody():
    """The port of a server that is down."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        yield closed.getsockname()[1]


def test_40_an_origin_that_is_down_is_a_502_at_once(standing_pair, connect, nobody):
    alpha, beta = standing_pair
    beta.share(f"http://127.0.0.1:{nobody}", "down")
    client = connect(alpha.access("down"))
    begun = time.monotonic()
    answer = client.ask(GET)
    assert answer.status == 502
    assert answer.value("simplon-error") == "hop=target; reason=target_refused"
    if not SANITIZED:
        assert time.monotonic() - begun < 1


def test_40_a_route_that_nobody_knows_is_a_404(standing_pair, connect):
    alpha, _ = standing_pair
    answer = connect(alpha.frontend()).ask(message("GET / HTTP/1.1", "Host: nobody.localhost"))
    assert answer.status == 404
    assert "reason=no_such_service" in answer.value("simplon-error")


@pytest.mark.parametrize("lost", ["the hosting agent", "the hub"])
def test_40_an_agent_that_is_gone_is_a_503_to_be_tried_again(pair, recorder, lost):
    alpha, beta = pair
    host, user = (beta, alpha) if lost == "the hosting agent" else (alpha, beta)
    recorder.begin()
    host.share(recorder.url, "gone")
    address = user.access("gone")
    with Client(address) as client:
        assert client.ask(GET).status == 200
        host.kill()
    with Client(address) as client:
        answer = client.ask(GET)
    assert answer.status == 503
    assert int(answer.value("retry-after")) >= 1
    assert "hop=target" not in answer.value("simplon-error")


@pytest.fixture
def black_hole():
    """The port of a server that takes no more connections and refuses none."""
    with contextlib.ExitStack() as held:
        server = held.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        with contextlib.suppress(TimeoutError):
            while True:
                waiting = held.enter_context(socket.socket())
                waiting.settimeout(0.2)
                waiting.connect(server.getsockname())
        yield server.getsockname()[1]


def test_40_a_target_that_cannot_be_reached_in_time_is_a_504(standing_pair, connect, black_hole):
    alpha, beta = standing_pair
    beta.share(f"http://127.0.0.1:{black_hole}", "hole", "--timeout-connect", "300ms")
    client = connect(alpha.access("hole"))
    begun = time.monotonic()
    answer = client.ask(GET)
    assert answer.status == 504
    assert answer.value("simplon-error") == "hop=target; reason=target_timed_out"
    assert 0.3 <= time.monotonic() - begun < ANSWER / 2


@pytest.mark.parametrize("at", ["share", "access"])
def test_40_an_answer_that_does_not_begin_in_time_is_a_504(standing_pair, connect, origin, at):
    alpha, beta = standing_pair
    limit = ("--timeout-first-byte", "300ms")
    beta.share(origin.url, f"slow-{at}", *(limit if at == "share" else ()))
    client = connect(alpha.access(f"slow-{at}", *(limit if at == "access" else ())))
    ends = queue.Queue()
    origin.script = lambda request, peer: ends.put(peer.end())
    begun = time.monotonic()
    answer = client.ask(GET)
    assert answer.status == 504
    assert "reason=timed_out" in answer.value("simplon-error")
    assert 0.3 <= time.monotonic() - begun < ANSWER / 2
    assert ends.get(timeout=ANSWER) in (FIN, RST), "the request is cancelled"


def asking(accept):
    return message("GET / HTTP/1.1", HOST, *([f"Accept: {accept}"] if accept else []))


@pytest.mark.parametrize(
    "accept, json_wanted",
    [
        ("application/json", True),
        ("application/json, text/plain;q=0.5, */*", True),
        ("Application/JSON; charset=utf-8", True),
        ("text/html,application/xhtml+xml,*/*;q=0.8", False),
        ("*/*", False),
        (None, False),
    ],
)
@pytest.mark.parametrize("wrong", ["origin down", "origin nonsense", "request"])
def test_41_our_answers_are_small_and_say_no_more_than_they_should(
    standing_pair, connect, origin, nobody, accept, json_wanted, wrong
):
    alpha, beta = standing_pair
    status, hop, reason = 502, "target", "target_refused"
    if wrong == "origin down":
        beta.share(f"http://127.0.0.1:{nobody}", "quiet")
        client = connect(alpha.access("quiet", "--name", "quiet-access"))
    else:
        client = connect()
    origin.script = lambda request, peer: play(request, peer, b"nonsense of /srv/app\r\n\r\n", FIN)
    if wrong == "request":
        raw = asking(accept).replace(b"GET", b"CONNECT")
        status, hop, reason = 405, "client", "method_not_allowed"
    else:
        raw = asking(accept)
        if wrong == "origin nonsense":
            reason = None
    answer = client.ask(raw)
    if wrong == "origin down":
        beta.ctl("delete", "quiet").ok()
        alpha.ctl("delete", "quiet-access").ok()
    assert answer.status == status
    assert len(answer.raw + answer.body) <= SMALL
    told = answer.value("simplon-error")
    assert told.startswith(f"hop={hop}; reason=")
    assert reason is None or told == f"hop={hop}; reason={reason}"
    assert answer.value("cache-control") == "no-store"
    if json_wanted:
        assert answer.value("content-type") == "application/json"
        body = json.loads(answer.body)
        assert (body["status"], body["hop"]) == (status, hop)
        assert told == f"hop={body['hop']}; reason={body['reason']}"
    else:
        assert answer.value("content-type").startswith("text/plain")
    secrets = (origin.address, str(nobody), "127.0.0.1", "nonsense", "/srv", str(alpha.state), str(beta.pid))
    for secret in secrets:
        assert secret.encode() not in answer.raw + answer.body


@pytest.mark.parametrize("status", [404, 500, 502, 503, 504])
def test_41_an_error_of_the_origin_is_its_own(client, origin, status):
    """No Simplon-Error: that an origin cannot forge one is how a client tells the two apart."""
    forged = "Simplon-Error: hop=share; reason=forged"
    body = b"<h1>the origin's page</h1>"
    origin.script = reply(
        message(f"HTTP/1.1 {status} Mine", forged, f"Content-Length: {len(body)}", body=body)
    )
    answer = client.ask(GET)
    assert (answer.status, answer.reason, answer.body) == (status, "Mine", body)
    assert answer.values("simplon-error") == []


def test_41_the_agent_and_the_origin_are_told_apart(pair, recorder):
    alpha, beta = pair
    recorder.begin()
    recorder.script = lambda request, peer: play(request, peer, FIN)
    beta.share(recorder.url, "far")
    address = alpha.access("far")
    with Client(address) as client:
        assert "hop=target" in client.ask(GET).value("simplon-error")
    beta.kill()
    with Client(address) as client:
        assert client.ask(GET).value("simplon-error").split(";")[0] in ("hop=overlay", "hop=hub", "hop=share")
