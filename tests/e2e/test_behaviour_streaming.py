"""Bodies on their way: when each byte goes on, what an end looks like, and who learns of an abort.

Order is forced by events: the second part of a body is sent only when the first was seen at the
other end, so that a proxy which holds bytes back hangs the test instead of passing it slowly.
"""

import hashlib
import queue
import select
import socket
import threading
import time

import pytest

from overlays import UNREAD
from programs import ANSWER, SANITIZED
from raw_http import CHUNKED, FIN, OK, RST, Cut, in_turn, may_be_cut, message, play, reply

GET = message("GET / HTTP/1.1", "Host: a")
GET_1_0 = message("GET / HTTP/1.0", "Host: a")
POST = "POST / HTTP/1.1"
HOST = "Host: a"
CHUNKED_FIELD = "Transfer-Encoding: chunked"
UNTIL_CLOSE = message("HTTP/1.1 200 OK", "Content-Type: text/plain")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

MIB = 1024 * 1024
# What may be under way while a reader stands still: the kernel's buffers of three connections, and
# the windows between the agents. The transfer is larger by far.
UNDER_WAY = 64 * MIB
TRANSFER = 192 * MIB
# By an agent, for a connection that stands still: the window of a stream, which on a short link
# grows to 512 KiB while the kernel's buffers are filled, and what is on its way out.
KEPT = 2 * MIB


def test_26_a_body_until_close_becomes_chunked(client, origin):
    gate = threading.Event()
    origin.script = reply(UNTIL_CLOSE, b"one", gate, b"two", FIN)
    client.send(GET)
    answer = client.response_head()
    assert answer.framing == "chunked"
    gate.set()
    assert client.body(answer).body == b"onetwo"
    origin.script = reply(OK)
    assert client.ask(GET).body == b"ok", "on the same connection"


def test_26_to_a_1_0_client_it_stays_one(client, origin):
    origin.script = reply(UNTIL_CLOSE, b"one", b"two", FIN)
    answer = client.ask(GET_1_0)
    assert (answer.framing, answer.body) == ("until close", b"onetwo")


@pytest.mark.parametrize("request_", [GET, GET_1_0], ids=["1.1", "1.0"])
def test_26_a_cut_one_does_not_look_complete(client, origin, request_):
    gate = threading.Event()
    origin.script = reply(UNTIL_CLOSE, b"one", gate, RST)
    client.send(request_)
    answer = client.response_head()
    gate.set()
    with pytest.raises(Cut):
        client.body(answer)
    assert answer.cut == (RST if request_ == GET_1_0 else answer.cut)


@pytest.mark.parametrize("end", [FIN, RST])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize(
    "begun",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", CHUNKED + b"3\r\nabc\r\n", CHUNKED + b"5\r\nabc"],
    ids=["length", "between chunks", "in a chunk"],
)
def test_27_a_body_that_an_origin_left_unfinished_is_seen_as_such(client, origin, begun, version, end):
    gate = threading.Event()
    origin.script = reply(begun, gate, end)
    client.send(GET if version == "1.1" else GET_1_0)
    answer = client.response_head()
    gate.set()
    with pytest.raises(Cut):
        client.body(answer)
    assert answer.body == b"abc"


def test_29_interim_responses_pass_each_when_it_comes(client, origin):
    gates = [threading.Event() for _ in range(4)]
    origin.script = reply(
        CONTINUE,
        gates[0],
        message("HTTP/1.1 103 Early Hints", "Link: </a>", "Link: </b>"),
        gates[1],
        message("HTTP/1.1 103 Early Hints", "Link: </c>"),
        gates[2],
        message("HTTP/1.1 199 Unknown", "X-Odd: 1"),
        gates[3],
        OK,
    )
    client.send(GET)
    seen = []
    for gate in gates:
        seen.append(client.response_head())
        gate.set()
    assert [head.status for head in seen] == [100, 103, 103, 199]
    assert (seen[1].values("link"), seen[2].values("link")) == (["</a>", "</b>"], ["</c>"])
    assert (seen[3].reason, seen[3].value("x-odd")) == ("Unknown", "1")
    assert client.response().body == b"ok"


def test_29_a_1_0_client_gets_none(client, origin):
    origin.script = reply(CONTINUE + message("HTTP/1.1 103 Early Hints", "Link: </a>") + OK)
    client.send(GET_1_0)
    assert client.response().status == 200


def expecting(*fields, method="POST"):
    return message(f"{method} / HTTP/1.1", HOST, "Expect: 100-continue", *fields)


@pytest.mark.parametrize("expect", ["100-continue", "100-Continue"])
def test_30_the_origin_says_whether_the_body_is_wanted(client, origin, expect):
    def script(request, peer):
        assert request.value("expect") == expect
        peer.send(CONTINUE)
        peer.body(request)
        peer.send(OK)

    origin.script = script
    client.send(message(POST, HOST, f"Expect: {expect}", "Content-Length: 4"))
    assert client.response_head().status == 100
    client.send(b"body")
    assert client.response().status == 200
    assert origin.one().body == b"body"


def test_30_a_final_answer_first_means_that_no_body_comes(client, origin):
    origin.script = lambda request, peer: peer.send(message("HTTP/1.1 401 No", "Content-Length: 2", body=b"no"))
    client.send(expecting("Content-Length: 1000"))
    answer = client.response()
    assert (answer.status, answer.body, answer.value("connection")) == (401, b"no", "close")
    client.half_close()
    assert client.end() == FIN


def test_30_a_body_that_comes_after_the_final_answer_is_drained(client, origin):
    origin.script = lambda request, peer: peer.send(message("HTTP/1.1 401 No", "Content-Length: 2", body=b"no"))
    client.send(expecting("Content-Length: 1000"))
    assert client.response().status == 401
    client.send(b"x" * 500, b"x" * 500)
    assert client.end() == FIN, "and not a reset"


def test_30_a_body_goes_on_when_the_client_has_waited_enough(client, origin):
    """An origin that knows nothing of 100: it reads the body, then answers."""
    client.send(expecting("Content-Length: 4"))
    origin.wait(1)
    client.send(b"body")
    answer = client.final()
    assert (answer.status, answer.interim) == (200, [])
    assert origin.one().body == b"body"


@pytest.mark.parametrize("expect", ["200-ok", "100-continue, x", "100-continue;q=1"])
def test_30_an_unknown_expectation_gets_417(client, connect, origin, expect):
    client.send(message("GET / HTTP/1.1", HOST, f"Expect: {expect}"))
    assert client.response().status == 417
    assert connect().ask(GET).status == 200
    assert len(origin.wait(1)) == 1


def test_30_a_1_0_client_expects_nothing(client, origin):
    answer = client.ask(message("POST / HTTP/1.0", HOST, "Expect: 100-continue", "Content-Length: 2", body=b"ab"))
    assert (answer.status, answer.interim) == (200, [])
    request = origin.one()
    assert (request.value("expect"), request.body) == (None, b"ab")


@pytest.mark.parametrize("status", [401, 413])
def test_31_an_early_answer_comes_at_once_and_whole(client, origin, status):
    early = message(f"HTTP/1.1 {status} Early", "Content-Length: 100000", body=b"e" * 100000)
    gate = threading.Event()
    origin.script = lambda request, peer: play(request, peer, early, gate, FIN)
    client.send(message("PUT / HTTP/1.1", HOST, f"Content-Length: {1024 * MIB}"), b"first")
    answer = client.response()
    assert (answer.status, len(answer.body)) == (status, 100000)
    gate.set()


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_31_a_client_that_goes_on_sending_still_reads_the_answer(client, origin, framing):
    early = message("HTTP/1.1 413 Early", "Connection: close", "Content-Length: 5", body=b"early")
    origin.script = lambda request, peer: play(request, peer, early, FIN)
    if framing == "length":
        client.send(message("PUT / HTTP/1.1", HOST, f"Content-Length: {1024 * MIB}"))
        piece = b"x" * 65536
    else:
        client.send(message("PUT / HTTP/1.1", HOST, CHUNKED_FIELD))
        piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    for _ in range(128):  # 8 MiB before it looks for an answer
        client.send(piece)
    answer = client.response()
    assert (answer.status, answer.body) == (413, b"early")
    assert client.end() == FIN


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_32_the_first_part_of_an_upload_is_there_before_the_next_is_sent(client, origin, framing):
    head = message(POST, HOST, CHUNKED_FIELD if framing == "chunked" else "Content-Length: 9")
    client.send(head)
    for count, part in enumerate((b"one", b"two", b"six"), 1):
        client.send(b"3\r\n" + part + b"\r\n" if framing == "chunked" else part)
        origin.wait(1)[0].wait_body(3 * count)
    if framing == "chunked":
        client.send(b"0\r\n\r\n")
    assert client.final().status == 200
    assert origin.one().body == b"onetwosix"


def rss(agents):
    return [agent.memory() for agent in agents]


def send_until_blocked(connection, block):
    """How many bytes were taken until nothing more was for a second."""
    sent = 0
    connection.setblocking(False)
    while select.select([], [connection], [], 1)[1]:
        try:
            sent += connection.send(block)
        except BlockingIOError:
            continue
        assert sent <= UNDER_WAY, "nobody reads, and everything is taken"
    connection.settimeout(ANSWER)
    return sent


def blocks(seed):
    piece = hashlib.sha256(seed).digest() * 2048  # 64 KiB
    return piece, TRANSFER // len(piece)


def grown(before, agents):
    return [now - then for then, now in zip(before, rss(agents), strict=True)]


def test_32_an_origin_that_stops_reading_stops_the_client(client, origin, standing_pair, overlay):
    piece, count = blocks(b"up")
    gate = threading.Event()
    got = queue.Queue()

    def script(request, peer):
        assert gate.wait(ANSWER)
        got.put(peer.digest(TRANSFER))
        peer.send(OK)

    origin.script = script
    client.send(message("PUT / HTTP/1.1", HOST, f"Content-Length: {TRANSFER}"))
    origin.wait(1)
    before = rss(standing_pair)
    sent = send_until_blocked(client.socket, piece)
    if not SANITIZED:
        assert max(grown(before, standing_pair)) <= KEPT + UNREAD[overlay]
    gate.set()
    whole = piece * count
    client.send(memoryview(whole)[sent % len(piece) :][: TRANSFER - sent])
    assert client.response().status == 200
    assert got.get() == hashlib.sha256(whole).digest()


def test_32_a_client_that_stops_reading_stops_the_origin(client, origin, standing_pair, overlay):
    piece, count = blocks(b"down")
    stopped = queue.Queue()

    def script(request, peer):
        peer.send(message("HTTP/1.1 200 OK", f"Content-Length: {TRANSFER}"))
        sent = send_until_blocked(peer.socket, piece)
        stopped.put(sent)
        peer.send(memoryview(piece * count)[sent % len(piece) :][: TRANSFER - sent])

    before = rss(standing_pair)
    origin.script = script
    client.send(GET)
    stopped.get(timeout=ANSWER)
    if not SANITIZED:
        assert max(grown(before, standing_pair)) <= KEPT + UNREAD[overlay]
    head = client.response_head()
    assert head.length == TRANSFER
    assert client.digest(TRANSFER) == hashlib.sha256(piece * count).digest()


@pytest.mark.parametrize(
    "head, frame, last",
    [
        (CHUNKED, lambda event: b"%x\r\n%s\r\n" % (len(event), event), b"0\r\n\r\n"),
        (UNTIL_CLOSE, lambda event: event, FIN),
        (message("HTTP/1.1 200 OK", "Content-Length: 1100"), lambda event: event, FIN),
    ],
    ids=["chunked", "until close", "length"],
)
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_33_each_part_of_a_response_comes_before_the_next_is_sent(client, origin, head, frame, last, version):
    seen = threading.Semaphore(0)
    events = [b"data: %03d\n\n" % n for n in range(100)]  # 1,100 bytes

    def script(request, peer):
        play(request, peer, head)
        for event in events:
            play(request, peer, frame(event))
            assert seen.acquire(timeout=ANSWER), "held back"
        play(request, peer, last)

    origin.script = script
    client.send(GET if version == "1.1" else GET_1_0)
    answer = client.response_head()
    got = b""
    for event in events:
        if answer.framing == "chunked":
            assert int(client.upto(b"\r\n"), 16) == len(event)
            got = client.exactly(len(event))
            client.exactly(2)
        else:
            got = client.exactly(len(event))
        assert got == event
        seen.release()
    if answer.framing == "chunked":
        assert client.exactly(5) == b"0\r\n\r\n"


@pytest.mark.skipif(SANITIZED, reason="the time of an event says nothing in a sanitizer build")
def test_33_an_event_takes_no_more_than_10_ms(client, origin):
    """Half of the events; a single one may meet a busy machine. The bench has the real figure."""
    sent, times = queue.Queue(), []
    seen = threading.Semaphore(0)

    def script(request, peer):
        peer.send(message("HTTP/1.1 200 OK", "Content-Type: text/event-stream", "Cache-Control: no-cache"))
        for _ in range(101):
            sent.put(time.monotonic())
            peer.send(b"data: x\n\n")
            assert seen.acquire(timeout=ANSWER)

    origin.script = script
    client.send(GET)
    client.response_head()
    for _ in range(101):
        client.upto(b"data: x\n\n\r\n")
        times.append(time.monotonic() - sent.get())
        seen.release()
    assert sorted(times)[50] <= 0.010


def abort(client, how):
    if how == RST:
        client.reset()
    else:
        client.close()


@pytest.mark.parametrize("how", [RST, FIN])
def test_34_a_client_that_leaves_while_it_waits_ends_the_request(client, origin, how):
    """A reset at once; an end may be half a close, so it counts once the origin was silent a while."""
    ends = queue.Queue()
    origin.script = lambda request, peer: ends.put(peer.end())
    client.send(GET)
    origin.wait(1)
    begun = time.monotonic()
    abort(client, how)
    assert ends.get(timeout=ANSWER) in (FIN, RST)
    if how == RST and not SANITIZED:
        assert time.monotonic() - begun < 1


@pytest.mark.parametrize("how", [RST, FIN])
def test_34_a_client_that_leaves_in_a_response_ends_the_request(client, origin, how):
    ends = queue.Queue()

    def script(request, peer):
        peer.send(CHUNKED)
        try:
            while True:
                peer.send(b"400\r\n" + b"x" * 0x400 + b"\r\n")
        except OSError as lost:
            ends.put(lost)
        peer.close()

    origin.script = script
    client.send(GET)
    client.exactly(100_000)
    abort(client, how)
    assert isinstance(ends.get(timeout=ANSWER), ConnectionError)


def test_34_a_client_that_leaves_a_silent_response_ends_the_request(client, origin):
    ends = queue.Queue()

    def script(request, peer):
        peer.send(CHUNKED + b"1\r\nx\r\n")
        ends.put(peer.end())

    origin.script = script
    client.send(GET)
    client.upto(b"x\r\n")
    client.reset()
    assert ends.get(timeout=ANSWER) in (FIN, RST)


@pytest.mark.parametrize("how", [RST, FIN])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_34_a_client_that_leaves_in_its_upload_ends_the_request(client, origin, framing, how):
    origin.script = may_be_cut(reply(OK))
    head = message(POST, HOST, CHUNKED_FIELD if framing == "chunked" else "Content-Length: 9")
    client.send(head, b"3\r\nabc\r\n" if framing == "chunked" else b"abc")
    request = origin.wait(1)[0]
    request.wait_body(3)
    abort(client, how)
    request.wait_cut()
    assert request.body == b"abc"


@pytest.mark.parametrize("end", [FIN, RST])
def test_35_an_origin_that_leaves_before_its_answer_is_a_502(client, origin, end):
    gate = threading.Event()
    origin.script = reply(gate, end)
    client.send(GET)
    origin.one()
    gate.set()
    answer = client.response()
    assert answer.status == 502
    assert "hop=target" in answer.value("simplon-error")


@pytest.mark.parametrize("end", [FIN, RST])
def test_35_an_origin_that_leaves_in_an_upload_is_told_at_once(client, origin, end):
    def script(request, peer):
        peer.exactly(3)
        play(request, peer, end)

    origin.script = script
    client.send(message(POST, HOST, "Content-Length: 1000000"), b"abc")
    answer = client.response()
    assert (answer.status, answer.value("connection")) == (502, "close")


@pytest.mark.parametrize("part", [b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nX: y\r\n"])
def test_35_an_origin_that_leaves_in_its_head_is_a_502(client, origin, part):
    origin.script = reply(part, FIN)
    answer = client.ask(GET)
    assert answer.status == 502
    assert answer.value("x") is None


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_36_a_client_that_ends_its_direction_gets_the_answer(client, origin, method):
    gate = threading.Event()
    body = b"x" * 300_000
    origin.script = reply(gate, message("HTTP/1.1 200 OK", f"Content-Length: {len(body)}"), body[:9], body[9:])
    if method == "POST":
        client.send(message(POST, HOST, "Content-Length: 2", body=b"ab"))
    else:
        client.send(GET)
    client.half_close()
    origin.one()
    gate.set()
    answer = client.response()
    assert (answer.status, answer.body) == (200, body)
    assert client.end() == FIN


def test_36_pipelined_requests_before_the_half_close_are_all_answered(client, origin):
    client.send(GET * 5)
    client.half_close()
    assert [client.response().body for _ in range(5)] == [b"ok"] * 5
    assert client.end() == FIN


def test_36_half_a_request_before_the_half_close_is_none(client, origin):
    client.send(GET[:-2])
    client.half_close()
    client.rest()
    assert b"200" not in client.received
    assert client.ended == FIN
    origin.script = in_turn(reply(OK))
    assert origin.requests == []


def test_36_the_other_way_an_origin_may_end_first(client, origin):
    """It has answered until the end of its direction, in the middle of the client's upload: that is
    the answer, and the rest of the upload is nobody's."""
    end = queue.Queue()

    def script(request, peer):
        peer.exactly(3)
        peer.send(UNTIL_CLOSE + b"early")
        peer.socket.shutdown(socket.SHUT_WR)
        end.put(peer.end())
        peer.close()

    origin.script = script
    client.send(message(POST, HOST, "Content-Length: 6"), b"abc")
    answer = client.response()
    assert (answer.status, answer.body) == (200, b"early")
    assert end.get(timeout=ANSWER) in (FIN, RST)
