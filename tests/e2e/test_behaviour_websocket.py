"""Websockets: the handshake is HTTP, and behind the 101 a byte is a byte.

No websocket library takes part: whole frames, halves of frames and bytes that are no frames must
arrive as they were sent.
"""

import hashlib
import os
import queue
import random
import struct
import threading
import time

import pytest

from programs import ANSWER, SANITIZED
from raw_http import FIN, OK, RST, UPGRADE, in_turn, message, play, reply

HOST = "Host: a"
ASKED = (
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
HANDSHAKE = message("GET /chat?a=%2F;b HTTP/1.1", HOST, *UPGRADE, *ASKED)
ACCEPT = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
SWITCH = message("HTTP/1.1 101 Switching Protocols", *UPGRADE, ACCEPT)
GET = message("GET /next HTTP/1.1", HOST)


def frame(opcode, payload=b"", fin=True, rsv=0, mask=None, length=None):
    """The bytes of a frame, legal or not; `length` chooses how the length is written."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    size = len(payload)
    length = length or (7 if size < 126 else 16 if size < 65536 else 64)
    masked = 0x80 if mask is not None else 0
    if length == 7:
        head = struct.pack("!BB", first, masked | size)
    elif length == 16:
        head = struct.pack("!BBH", first, masked | 126, size)
    else:
        head = struct.pack("!BBQ", first, masked | 127, size)
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def switched(then):
    """A script: agrees to the handshake, then does `then` with the connection, then closes it."""

    def script(request, peer):
        peer.send(SWITCH)
        then(peer)
        peer.close()

    return script


def echo(peer):
    while data := peer.some():
        peer.send(data)


def open_websocket(client, handshake=HANDSHAKE):
    client.send(handshake)
    answer = client.response_head()
    assert answer.status == 101, answer.raw
    return answer


def handshake_with(*fields, line="GET / HTTP/1.1"):
    return message(line, HOST, *ASKED, *fields)


@pytest.mark.parametrize(
    "fields",
    [
        ("Connection: Upgrade", "Upgrade: websocket"),
        ("connection: upgrade", "UPGRADE: WebSocket"),
        ("Connection: keep-alive, Upgrade", "Upgrade: websocket"),
        ("Connection: ,UPGRADE ,, close", "Upgrade: WEBSOCKET"),
        ("Connection: keep-alive", "Upgrade: websocket", "Connection: upgrade"),
        ("Connection: Upgrade", "Upgrade: foo/1, websocket"),
    ],
)
def test_52_an_upgrade_is_a_list_in_any_case(client, origin, fields):
    origin.script = switched(echo)
    answer = open_websocket(client, handshake_with(*fields))
    assert (answer.value("connection").lower(), answer.value("upgrade").lower()) == ("upgrade", "websocket")
    client.send(b"through")
    assert client.exactly(7) == b"through"
    request = origin.wait(1)[0]
    assert (request.value("connection").lower(), request.value("upgrade").lower()) == ("upgrade", "websocket")


@pytest.mark.parametrize("fields", [("connection: x, UPGRADE", "upgrade: WebSocket")])
def test_52_also_in_the_answer(client, origin, fields):
    origin.script = lambda request, peer: play(
        request, peer, message("HTTP/1.1 101 Sure", *fields, ACCEPT), b"hi", FIN
    )
    assert open_websocket(client).reason == "Sure"
    assert client.rest() == b"hi"


@pytest.mark.parametrize(
    "raw",
    [
        handshake_with(*UPGRADE, line="POST / HTTP/1.1"),
        handshake_with(*UPGRADE, line="get / HTTP/1.1"),
        handshake_with(*UPGRADE, line="GET / HTTP/1.0"),
        handshake_with("Upgrade: websocket"),
        handshake_with("Connection: keep-alive", "Upgrade: websocket"),
        handshake_with("Connection: upgraded", "Upgrade: websocket"),
        handshake_with("Connection: Upgrade", "Upgrade: websockets"),
        handshake_with("Connection: Upgrade", "Upgrade: websocket/13"),
        handshake_with("Connection: Upgrade"),
    ],
)
def test_52_what_is_no_handshake_is_a_plain_request(client, origin, raw):
    assert client.ask(raw).status == 200
    request = origin.one()
    assert (request.value("upgrade"), request.value("connection")) == (None, None)


@pytest.mark.parametrize(
    "fields",
    [
        ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
        ("Connection: Upgrade", "Upgrade: h2c"),
        ("Connection: upgrade", "Upgrade: H2C, foo"),
        ("Connection: Upgrade", "Upgrade: TLS/1.2"),
        ("Connection: Upgrade", "Upgrade: anything"),
    ],
)
def test_53_nothing_but_websocket_is_upgraded(client, origin, fields):
    assert client.ask(message("GET / HTTP/1.1", HOST, *fields)).status == 200
    request = origin.one()
    assert not {"upgrade", "connection", "http2-settings"} & set(request.names())


def test_53_h2c_beside_websocket_is_not_passed_on(client, origin):
    origin.script = switched(echo)
    open_websocket(client, handshake_with("Connection: Upgrade", "Upgrade: h2c, websocket"))
    assert origin.wait(1)[0].value("upgrade") == "websocket"


def test_53_an_origin_that_agrees_to_h2c_is_not_believed(client, origin):
    ends = queue.Queue()

    def script(request, peer):
        peer.send(message("HTTP/1.1 101 Yes", "Connection: Upgrade", "Upgrade: h2c"))
        ends.put(peer.end())

    origin.script = script
    answer = client.ask(message("GET / HTTP/1.1", HOST, "Connection: Upgrade", "Upgrade: h2c"))
    assert answer.status == 502
    assert ends.get(timeout=ANSWER) in (FIN, RST)


def test_54_the_fields_of_the_handshake_pass_to_the_byte(client, origin):
    asked = [
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", "13"),
        ("sec-websocket-protocol", "chat,  superchat , x"),
        ("Sec-WebSocket-Protocol", "second"),
        ("Sec-WebSocket-Extensions", 'permessage-deflate; client_max_window_bits="10", foo;a=b'),
        ("SEC-WebSocket-Extensions", "bar"),
        ("Origin", "HTTPS://Somewhere.example:443"),
    ]
    given = [
        ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ("sec-websocket-protocol", "superchat"),
        ("Sec-WebSocket-Extensions", "permessage-deflate;server_no_context_takeover,  foo"),
    ]
    lines = [f"{name}: {value}" for name, value in given]
    origin.script = lambda request, peer: play(
        request, peer, message("HTTP/1.1 101 Switching Protocols", *UPGRADE, *lines), FIN
    )
    answer = open_websocket(
        client,
        message("GET / HTTP/1.1", HOST, *(f"{name}: {value}" for name, value in asked), *UPGRADE),
    )
    request = origin.wait(1)[0]

    def of_handshake(got):
        return [field for field in got.fields if field[0].lower().startswith(("sec-", "origin"))]

    assert of_handshake(request) == asked
    assert of_handshake(answer) == given
    for got in (request, answer):
        assert len(got.values("connection")) == len(got.values("upgrade")) == 1


@pytest.mark.parametrize(
    "status, field",
    [
        (200, "X-A: b"),
        (302, "Location: https://login.example/"),
        (401, "WWW-Authenticate: Basic"),
        (426, "Sec-WebSocket-Version: 13, 8"),
        (503, "Retry-After: 9"),
    ],
)
def test_55_an_answer_that_is_no_101_is_plain_http(client, origin, status, field):
    refusal = message(f"HTTP/1.1 {status} No", field, "Content-Length: 4", body=b"body")
    origin.script = in_turn(reply(refusal), reply(OK))
    answer = client.ask(HANDSHAKE)
    assert (answer.status, answer.body) == (status, b"body")
    name, value = field.split(": ")
    assert answer.value(name) == value
    assert client.ask(GET).body == b"ok", "on the same connection"
    first, second = origin.wait(2)
    assert first.connection is second.connection


@pytest.mark.parametrize(
    "raw, answer",
    [
        (GET, SWITCH),
        (HANDSHAKE, message("HTTP/1.1 101 X", "Connection: Upgrade", "Upgrade: h2c")),
        (HANDSHAKE, message("HTTP/1.1 101 X", "Connection: Upgrade")),
        (HANDSHAKE, message("HTTP/1.1 101 X", "Upgrade: websocket")),
        (HANDSHAKE, message("HTTP/1.1 101 X")),
        (HANDSHAKE, message("HTTP/1.1 101 X", "Connection: Upgrade", "Upgrade: websocket, h2c")),
        (HANDSHAKE, message("HTTP/1.1 101 X", "Connection: Upgrade", *UPGRADE[1:], *UPGRADE[1:])),
    ],
)
def test_56_a_101_that_was_not_asked_for_is_a_502_and_ends_the_connection(client, origin, raw, answer):
    ends = queue.Queue()

    def script(request, peer):
        peer.send(answer + b"\x81\x02hi")
        ends.put(peer.end())

    origin.script = script
    got = client.ask(raw)
    assert got.status == 502
    assert b"hi" not in client.received
    assert ends.get(timeout=ANSWER) in (FIN, RST), "and nobody keeps the descriptor"


def test_57_bytes_behind_the_handshake_reach_the_origin(client, origin):
    early = frame(1, b"early", mask=b"abcd") + frame(2, b"x" * 3000, mask=b"abcd")
    got = queue.Queue()
    origin.script = switched(lambda peer: got.put(peer.exactly(len(early))))
    client.send(HANDSHAKE + early)
    assert client.response_head().status == 101
    assert got.get(timeout=ANSWER) == early


def test_57_bytes_behind_the_101_reach_the_client(client, origin):
    early = frame(1, b"early") + frame(2, b"x" * 3000)
    origin.script = lambda request, peer: play(request, peer, SWITCH + early, FIN)
    open_websocket(client)
    assert client.rest() == early


def test_57_both_at_once_and_before_the_101(client, origin):
    """The client does not wait for the 101: nothing of it is lost, nothing read as a request."""
    gate = threading.Event()
    got = queue.Queue()

    def script(request, peer):
        assert gate.wait(ANSWER)
        peer.send(SWITCH + b"from the origin")
        got.put(peer.exactly(30_000))
        peer.close()

    origin.script = script
    client.send(HANDSHAKE + b"a" * 10_000)
    origin.wait(1)
    client.send(b"b" * 10_000)
    gate.set()
    client.send(b"c" * 10_000)
    assert client.response_head().status == 101
    assert client.exactly(15) == b"from the origin"
    assert got.get(timeout=ANSWER) == b"a" * 10_000 + b"b" * 10_000 + b"c" * 10_000


@pytest.mark.parametrize(
    "fields, body",
    [
        (["Content-Length: 5"], b"\x81\x02hi!"),
        (["Transfer-Encoding: chunked"], b"5\r\n\x81\x02hi!\r\n0\r\n\r\n"),
    ],
)
def test_58_an_upgrade_with_a_body_is_refused(refused, fields, body):
    refused(message("GET / HTTP/1.1", HOST, *UPGRADE, *ASKED, *fields, body=body), 400)


def test_58_an_upgrade_with_an_empty_body_is_one(client, origin):
    origin.script = switched(echo)
    open_websocket(client, message("GET / HTTP/1.1", HOST, *UPGRADE, *ASKED, "Content-Length: 0"))
    client.send(b"hi")
    assert client.exactly(2) == b"hi"


MASK = b"\x01\xfe\x7f\x80"
FRAMES = [
    frame(1, "grüße".encode(), mask=MASK),
    frame(1, b"frag", fin=False, mask=MASK),
    frame(9, b"ping between fragments", mask=MASK),
    frame(0, b"men", fin=False, mask=MASK),
    frame(10, b"", mask=MASK),
    frame(0, b"ted", mask=MASK),
    frame(2, b"\xca\x48\xcd\xc9\x07\x00", rsv=4, mask=MASK),  # permessage-deflate
    frame(2, b"", mask=MASK),
    frame(2, b"short", length=16, mask=MASK),
    frame(2, b"short", length=64, mask=MASK),
    *(frame(2, os.urandom(size), mask=MASK) for size in (1, 125, 126, 127, 65535, 65536, 65537)),
    frame(1, b"unmasked"),
    frame(3, b"reserved opcode", rsv=7),
    frame(1, b"\xff\xfe not UTF-8", mask=MASK),
    b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nHTTP/1.1 200 OK\r\n\r\n\0\xff",
]


@pytest.mark.parametrize("direction", ["up", "down"])
def test_59_frames_of_every_kind_pass_to_the_byte(client, origin, direction):
    got = queue.Queue()
    if direction == "up":
        origin.script = switched(lambda peer: got.put(b"".join(peer.exactly(len(f)) for f in FRAMES)))
        open_websocket(client)
        client.send(*FRAMES)
        received = got.get(timeout=ANSWER)
        assert client.end() == FIN
    else:
        origin.script = switched(lambda peer: peer.send(*FRAMES))
        open_websocket(client)
        received = client.rest()
    assert received == b"".join(FRAMES)


def test_59_a_frame_may_come_byte_by_byte_each_at_once(client, origin):
    origin.script = switched(echo)
    open_websocket(client)
    whole = FRAMES[0] + FRAMES[2] + frame(2, b"y" * 200, mask=MASK)
    for at in range(len(whole)):
        client.send(whole[at : at + 1])
        assert client.exactly(1) == whole[at : at + 1], "before the next one is sent"


def test_59_random_bytes_pass_in_both_directions_at_once(client, origin):
    up, down = (random.Random(seed).randbytes(5_000_000) for seed in (1, 2))
    got = queue.Queue()

    def both(peer):
        sender = threading.Thread(target=peer.send, args=(down,), daemon=True)
        sender.start()
        got.put(peer.exactly(len(up)))
        sender.join(ANSWER)

    origin.script = switched(both)
    open_websocket(client)
    sender = threading.Thread(target=client.send, args=(up,), daemon=True)
    sender.start()
    assert client.exactly(len(down)) == down
    assert got.get(timeout=ANSWER) == up
    sender.join(ANSWER)
    assert client.end() == FIN


@pytest.mark.skipif(SANITIZED, reason="the time of a message says nothing in a sanitizer build")
def test_59_a_small_message_is_not_held_back(client, origin):
    """There and back in 4 ms at most, by half of them: two passages at less than 1 ms, and the test."""
    origin.script = switched(echo)
    open_websocket(client)
    message_ = frame(1, b"x", mask=MASK)
    times = []
    for _ in range(201):
        begun = time.monotonic()
        client.send(message_)
        client.exactly(len(message_))
        times.append(time.monotonic() - begun)
    assert sorted(times)[100] < 0.004


def test_60_control_frames_are_between_the_ends(client, origin):
    ping, pong = frame(9, b"client's", mask=MASK), frame(10, b"not what was asked")
    their_ping, our_pong = frame(9, b"origin's"), frame(10, b"late", mask=MASK)
    close, answer = frame(8, b"\x0f\xa0bye", mask=MASK), frame(8, b"\x03\xe8")
    got = queue.Queue()

    def then(peer):
        got.put(peer.exactly(len(ping)))
        peer.send(pong, their_ping)
        got.put(peer.exactly(len(our_pong) + len(close)))
        peer.send(answer)
        got.put(peer.end())

    origin.script = switched(then)
    open_websocket(client)
    client.send(ping)
    assert got.get(timeout=ANSWER) == ping
    # Exactly the origin's bytes: nobody on the way has answered a ping.
    assert client.exactly(len(pong) + len(their_ping)) == pong + their_ping
    client.send(our_pong, close)
    assert got.get(timeout=ANSWER) == our_pong + close
    assert client.exactly(len(answer)) == answer
    client.half_close()
    assert got.get(timeout=ANSWER) == FIN
    assert client.end() == FIN


def test_61_each_direction_ends_by_itself(client, origin):
    gate = threading.Event()
    ended = queue.Queue()

    def then(peer):
        ended.put((peer.rest(), peer.ended))
        assert gate.wait(ANSWER)
        peer.send(b"still ", b"here")

    origin.script = switched(then)
    open_websocket(client)
    client.send(b"all of it")
    client.half_close()
    assert ended.get(timeout=ANSWER) == (b"all of it", FIN)
    gate.set()
    assert client.rest() == b"still here"
    assert client.ended == FIN


def test_61_also_when_the_origin_ends_first(client, origin):
    got = queue.Queue()

    def then(peer):
        peer.send(b"last words")
        peer.half_close()
        got.put((peer.rest(), peer.ended))

    origin.script = switched(then)
    open_websocket(client)
    assert client.rest() == b"last words"
    assert client.ended == FIN
    client.send(b"still ", b"here")
    client.half_close()
    assert got.get(timeout=ANSWER) == (b"still here", FIN)


def test_61_a_reset_of_the_origin_is_a_reset_for_the_client(client, origin):
    gate = threading.Event()
    origin.script = lambda request, peer: play(request, peer, SWITCH + b"partial", gate, RST)
    open_websocket(client)
    assert client.exactly(7) == b"partial"
    gate.set()
    assert client.end() == RST


def test_61_a_reset_of_the_client_is_a_reset_for_the_origin(client, origin):
    got = queue.Queue()

    def then(peer):
        got.put(peer.exactly(7))
        got.put(peer.end())

    origin.script = switched(then)
    open_websocket(client)
    client.send(b"partial")
    assert got.get(timeout=ANSWER) == b"partial"
    client.reset()
    assert got.get(timeout=ANSWER) == RST


@pytest.mark.parametrize("side", ["access", "share"])
def test_61_nothing_is_injected_when_a_tunnel_is_drained(standing_pair, connect, origin, side):
    alpha, beta = standing_pair
    beta.share(origin.url, f"drained-{side}")
    address = alpha.access(f"drained-{side}")
    client = connect(address)
    ends = queue.Queue()

    def then(peer):
        try:
            echo(peer)
        except OSError:
            pass
        ends.put(bytes(peer.received))

    origin.script = switched(then)
    open_websocket(client)
    client.send(b"before")
    assert client.exactly(6) == b"before"
    request = origin.wait(1)[0]
    if side == "share":
        beta.ctl("delete", f"drained-{side}", "--drain", "1s").ok()
    else:
        alpha.ctl("delete", f"drained-{side}-access", "--drain", "1s").ok()
    assert client.end() in (FIN, RST), "and not a byte before"
    assert ends.get(timeout=ANSWER) == request.raw + b"before"


def test_64_a_reader_that_stands_still_keeps_nobody_from_connecting(connect, origin):
    """Nor on OpenZiti, where routers do not tell one circuit from another."""
    stalled = threading.Event()

    def flood(peer):
        peer.socket.settimeout(1)
        try:
            peer.send(b"z" * (64 * 1024 * 1024))
        except TimeoutError:
            stalled.set()
        except ConnectionError:
            pass

    origin.script = in_turn(switched(flood), *[reply(OK)] * 6)
    open_websocket(connect())
    assert stalled.wait(ANSWER)
    for _ in range(6):  # by each loop of the agent
        assert connect().ask(GET).status == 200


def test_64_a_slow_consumer_blocks_its_sender_and_nobody_else(standing_pair, connect, origin):
    """The siblings go through the same two agents, and the same session between them."""
    limit, block = 64 * 1024 * 1024, b"z" * 65536
    stalled, gate = queue.Queue(), threading.Event()

    def flood(peer):
        sent = 0
        peer.socket.settimeout(1)
        try:
            while sent < limit:
                sent += peer.socket.send(block)
        except TimeoutError:
            pass
        stalled.put(sent)
        peer.socket.settimeout(ANSWER)
        assert gate.wait(ANSWER)

    origin.script = in_turn(*[switched(echo)] * 8, switched(flood))
    siblings = [connect() for _ in range(8)]
    for sibling in siblings:
        open_websocket(sibling)
        sibling.send(block)
        assert sibling.exactly(len(block)) == block
    before = [agent.memory() for agent in standing_pair]
    slow = connect()
    open_websocket(slow)
    times = []
    for turn in range(50):
        begun = time.monotonic()
        for sibling in siblings:
            sibling.send(b"%03d" % turn)
        for sibling in siblings:
            assert sibling.exactly(3) == b"%03d" % turn
        times.append(time.monotonic() - begun)
    sent = stalled.get(timeout=ANSWER)
    assert sent < limit, "the sender was not blocked"
    for sibling in siblings:
        sibling.send(b"after")
        assert sibling.exactly(5) == b"after"
    if not SANITIZED:
        assert sorted(times)[25] < 0.1
        grown = [agent.memory() - then for agent, then in zip(standing_pair, before, strict=True)]
        assert max(grown) < 2 * 1024 * 1024
    gate.set()
    assert slow.digest(sent) == hashlib.sha256(b"z" * sent).digest(), "all of it was kept"
    assert slow.end() == FIN
