"""Where a request ends, and what has no end that all agree on: refused, at the first agent.

The numbers are those of the conformance table. What must be refused goes in one send, with a second
request behind it: one answer, then the end, and the origin saw neither.
"""

import threading

import pytest

from raw_http import CHUNKED, FIN, OK, Cut, in_turn, may_be_cut, message, reply

POST = "POST / HTTP/1.1"
HOST = "Host: a"
SMUGGLED = message("GET /smuggled HTTP/1.1", HOST)
CHUNKED_FIELD = "Transfer-Encoding: chunked"


@pytest.mark.parametrize(
    "fields",
    [
        (CHUNKED_FIELD, "Content-Length: 4"),
        ("Content-Length: 4", CHUNKED_FIELD),
        (CHUNKED_FIELD, "Content-Length: 0"),
        ("content-length: 5", "TRANSFER-ENCODING: Chunked"),
    ],
)
def test_04_transfer_encoding_with_content_length_is_refused(refused, fields):
    refused(message(POST, HOST, *fields, body=b"0\r\n\r\n" + SMUGGLED), 400)


@pytest.mark.parametrize(
    "line",
    [
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: ,chunked",
        "Transfer-Encoding:",
        "Transfer-Encoding: chunked\x0b",
        "Transfer-Encoding: \x0cchunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: chun\tked",
        'Transfer-Encoding: "chunked"',
        "Transfer-Encoding: chunked\r\n , identity",
    ],
)
def test_05_a_transfer_encoding_that_is_not_just_chunked_is_refused(refused, line):
    refused(message(POST, HOST, line, body=b"0\r\n\r\n" + SMUGGLED), 400, 501)


def test_05_transfer_encoding_in_http_1_0_is_refused(refused):
    refused(message("POST / HTTP/1.0", HOST, CHUNKED_FIELD, body=b"0\r\n\r\n" + SMUGGLED), 400, 501)


@pytest.mark.parametrize("case", ["chunked", "Chunked", "CHUNKED"])
def test_05_chunked_in_any_case_is_a_body(client, origin, case):
    client.ask(message(POST, HOST, f"Transfer-Encoding: {case}", body=b"3\r\nabc\r\n0\r\n\r\n"))
    assert origin.one().body == b"abc"


@pytest.mark.parametrize(
    "value",
    ["+5", "-1", "0x5", "5 5", "5,6", "", "5,", "5;", "5.0", "9223372036854775808", "1" + "0" * 40],
)
def test_06_a_malformed_content_length_is_refused(refused, value):
    refused(message(POST, HOST, f"Content-Length: {value}", body=b"abcde" + SMUGGLED), 400)


@pytest.mark.parametrize("values", [("5", "6"), ("6", "5"), ("5", "05 "), ("0", "5"), ("5", "5", "4")])
def test_06_differing_content_lengths_are_refused(refused, values):
    fields = [f"Content-Length: {value}" for value in values]
    if values[1] == "05 ":  # the same number, once normalised
        fields[1] = "Content-Length: 0x5"
    refused(message(POST, HOST, *fields, body=b"abcde" + SMUGGLED), 400)


@pytest.mark.parametrize("fields", [["Content-Length: 5", "Content-Length: 5"], ["Content-Length: 5, 5"]])
def test_06_the_same_content_length_twice_becomes_one(client, origin, fields):
    assert client.ask(message(POST, HOST, *fields, body=b"abcde")).status == 200
    request = origin.one()
    assert request.values("content-length") == ["5"]
    assert request.body == b"abcde"


@pytest.mark.parametrize("field", ["Name : v", "Name\t: v", " Name: v", "Content-Length : 5", ": v"])
def test_07_space_before_the_colon_of_a_request_is_refused(refused, field):
    refused(message(POST, HOST, field, body=SMUGGLED), 400)


def test_07_space_before_the_colon_of_a_response_is_stripped(client, origin):
    origin.script = reply(
        message("HTTP/1.1 200 OK", "X-Name : v", "Content-Length\t : 2", "X-Next:w", body=b"ok")
    )
    answer = client.ask(message("GET / HTTP/1.1", HOST))
    assert (answer.status, answer.body) == (200, b"ok")
    assert (answer.value("x-name"), answer.value("x-next")) == ("v", "w")


@pytest.mark.parametrize("fold", ["\r\n more", "\r\n\tmore", "\r\n \r\n more"])
def test_08_a_folded_request_field_is_refused(refused, fold):
    refused(message("GET / HTTP/1.1", HOST, f"X-Folded: one{fold}"), 400)


@pytest.mark.parametrize("fold", ["\r\n more", "\r\n\t more"])
def test_08_a_folded_response_field_is_unfolded(client, origin, fold):
    origin.script = reply(
        message("HTTP/1.1 200 OK", f"X-Folded: one{fold}", "Content-Length: 2", body=b"ok")
    )
    answer = client.ask(message("GET / HTTP/1.1", HOST))
    assert answer.value("x-folded").split(" ") == ["one", "more"]


@pytest.mark.parametrize("byte", ["\r", "\n", "\0", "\x01", "\x0b", "\x7f"])
@pytest.mark.parametrize("where", ["GET /{} HTTP/1.1", "X-Field: a{}b", "X-Field: {}b", "X{}Field: a"])
def test_09_control_bytes_in_a_head_are_refused(refused, where, byte):
    line = where.format(byte)
    lines = (line, HOST) if "HTTP/" in line else ("GET / HTTP/1.1", HOST, line)
    refused(message(*lines), 400)


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\n",
    ],
)
def test_09_a_bare_line_feed_is_no_line_end(refused, raw):
    refused(raw + SMUGGLED, 400)


@pytest.mark.parametrize("byte", ["\0", "\x01", "\x7f", "\n"])
def test_09_control_bytes_in_a_response_are_not_passed_on(client, origin, byte):
    origin.script = reply(message("HTTP/1.1 200 OK", f"X: a{byte}b", "Content-Length: 0"))
    answer = client.ask(message("GET / HTTP/1.1", HOST))
    assert answer.status == 502
    assert answer.value("x") is None


def test_10_empty_lines_before_a_request_are_skipped(client, origin):
    client.send(b"\r\n" + message("GET /1 HTTP/1.1", HOST), b"\r\n\r\n" + message("GET /2 HTTP/1.1", HOST))
    assert client.response().status == client.response().status == 200
    assert [request.raw.split(b" ")[:2] for request in origin.wait(2)] == [
        [b"GET", b"/1"],
        [b"GET", b"/2"],
    ]


@pytest.mark.parametrize("junk", [b"\r\n" * 50, b" ", b"\0", b"junk\r\n", b"\n\r\n\r", b"\r\r\n"])
def test_10_junk_before_a_request_is_refused(refused, junk):
    refused(junk + message("GET / HTTP/1.1", HOST), 400)


BAD_CHUNKS = [
    b"0x3\r\nabc\r\n0\r\n\r\n",
    b"+3\r\nabc\r\n0\r\n\r\n",
    b"-3\r\nabc\r\n0\r\n\r\n",
    b" 3\r\nabc\r\n0\r\n\r\n",
    b"3g\r\nabc\r\n0\r\n\r\n",
    b"3 3\r\nabc\r\n0\r\n\r\n",
    b"\r\nabc\r\n0\r\n\r\n",
    b";a\r\nabc\r\n0\r\n\r\n",
    b"3\nabc\r\n0\r\n\r\n",
    b"3\r\r\nabc\r\n0\r\n\r\n",
    b"3\r\nabc0\r\n\r\n",
    b"3\r\nabcd\r\n0\r\n\r\n",
    b"3\r\nabc\n0\r\n\r\n",
    b"3\r\nabc\rX0\r\n\r\n",
    b"0" * 17 + b"\r\n\r\n",
    b"0" * 100_000 + b"3\r\nabc\r\n0\r\n\r\n",
    b"8000000000000000\r\nabc\r\n0\r\n\r\n",
    b"10000000000000003\r\nabc\r\n0\r\n\r\n",
    b"3;a\0b\r\nabc\r\n0\r\n\r\n",
]


@pytest.mark.parametrize("body", BAD_CHUNKS)
@pytest.mark.parametrize("at", ["with the head", "after a chunk"])
def test_15_a_malformed_chunk_is_refused(connect, origin, body, at):
    client = connect()
    head = message(POST, HOST, CHUNKED_FIELD)
    origin.script = may_be_cut(reply(OK))
    if at == "with the head":
        client.send(head + body + SMUGGLED)
    else:  # when the head and a first chunk are at the origin already
        client.send(head, b"2\r\nxy\r\n")
        origin.wait(1)[0].wait_body(2)
        client.send(body + SMUGGLED)
    answer = client.response()
    assert answer.status == 400
    assert answer.value("connection") == "close"
    assert client.end() == FIN
    if at == "after a chunk":
        origin.wait(1)[0].wait_cut()
        assert origin.requests[0].body in (b"xy", b"xyabc")
    assert connect().ask(message("GET /after HTTP/1.1", HOST)).status == 200
    assert not any(request.complete and request.target != "/after" for request in origin.requests)
    assert "/smuggled" not in [request.target for request in origin.requests]


def test_15_chunk_sizes_are_hexadecimal_with_few_leading_zeros(client, origin):
    body = b"0000000000000003\r\nabc\r\nA\r\n0123456789\r\na\r\n0123456789\r\n000\r\n\r\n"
    client.ask(message(POST, HOST, CHUNKED_FIELD, body=body))
    assert origin.one().body == b"abc" + b"0123456789" * 2


@pytest.mark.parametrize(
    "line", [b"3;a", b"3;a=b", b"3 ; a=b;c", b'3;a="x;\\"y"', b"3;a=" + b"x" * 3000]
)
def test_16_chunk_extensions_are_dropped_both_ways(client, origin, line):
    origin.script = reply(CHUNKED + line + b"\r\nxyz\r\n0;last\r\n\r\n")
    body = line + b"\r\nabc\r\n0;last\r\n\r\n"
    answer = client.ask(message(POST, HOST, CHUNKED_FIELD, body=body))
    assert (answer.body, answer.extensions) == (b"xyz", [])
    request = origin.one()
    assert (request.body, request.extensions) == (b"abc", [])


@pytest.mark.parametrize(
    "line", [b"3;a=" + b"x" * 5000, b'3;a="x\r\n', b'3;a="' + b"\r\n" * 10, b"3;a\rb", b"3;a\nb", b"3 a"]
)
def test_16_extensions_that_are_large_or_quote_a_line_end_are_refused(connect, origin, line):
    origin.script = may_be_cut(reply(OK))
    client = connect()
    client.send(message(POST, HOST, CHUNKED_FIELD, body=line + b"\r\nabc\r\n0\r\n\r\n" + SMUGGLED))
    assert client.response().status == 400
    assert client.end() == FIN
    connect().ask(message("GET /after HTTP/1.1", HOST))
    assert [request.target for request in origin.requests if request.complete] == ["/after"]


def test_16_a_bad_extension_of_a_response_is_not_passed_on(client, origin):
    origin.script = reply(CHUNKED, b'3;a="x\r\nabc\r\n0\r\n\r\n')
    client.send(message("GET / HTTP/1.1", HOST))
    try:
        assert client.final().status == 502
    except Cut as cut:
        assert b"abc" not in cut.partial
    assert b'a="x' not in client.received


ACTING = [
    "Content-Length: 1",
    "Transfer-Encoding: chunked",
    "Host: b",
    "Authorization: Basic eA==",
    "Proxy-Authorization: Basic eA==",
    "Cookie: a=b",
    "Set-Cookie: a=b",
    "Connection: close",
    "Content-Type: text/html",
    "Content-Encoding: gzip",
    "X-Forwarded-For: 203.0.113.9",
    "Forwarded: for=203.0.113.9",
    "Location: /x",
    "Simplon-Error: hop=share; reason=no",
]


def test_17_trailers_pass_both_ways_announced_or_not(client, origin):
    """A client that says nothing of trailers gets them, too: curl prints them, nobody breaks."""
    trailers = b"0\r\nX-Checksum: 1\r\nETag: \"e\"\r\nX-Checksum: 2\r\n\r\n"
    expected = [("X-Checksum", "1"), ("ETag", '"e"'), ("X-Checksum", "2")]
    head = "HTTP/1.1 200 OK", CHUNKED_FIELD
    origin.script = in_turn(
        reply(message(*head, "Trailer: X-Checksum"), b"2\r\nok\r\n", trailers),
        reply(message(*head), b"2\r\nok\r\n", trailers),
    )
    for fields in (["TE: trailers", "Connection: TE", "Trailer: X-Checksum"], []):
        request = message(POST, HOST, CHUNKED_FIELD, *fields, body=b"3\r\nabc\r\n" + trailers)
        answer = client.ask(request)
        assert (answer.body, answer.trailers) == (b"ok", expected)
        assert answer.value("trailer") == ("X-Checksum" if fields else None)
    announced, silent = (request.wait_complete() for request in origin.wait(2))
    assert announced.trailers == silent.trailers == expected
    assert (announced.value("te"), announced.value("trailer")) == ("trailers", "X-Checksum")
    assert (silent.value("te"), silent.value("trailer")) == (None, None)


@pytest.mark.parametrize("field", ACTING)
def test_17_trailers_that_frame_route_or_authenticate_are_dropped(client, origin, field):
    trailers = f"0\r\n{field}\r\nX-Good: 1\r\n\r\n".encode()
    origin.script = reply(CHUNKED, b"2\r\nok\r\n" + trailers)
    request = message(POST, HOST, CHUNKED_FIELD, "TE: trailers", body=b"3\r\nabc\r\n" + trailers)
    client.send(request)
    answer = client.final()
    name, value = field.split(": ", 1)
    seen = origin.one()
    for got in (seen, answer):
        assert got.trailers == [("X-Good", "1")]
        assert (name, value) not in got.fields or value == "chunked"
    assert seen.body == b"abc"


def test_17_more_trailers_than_bounded_are_refused(connect, origin):
    origin.script = may_be_cut(reply(OK))
    for trailers in (b"X: y\r\n" * 65, b"X: " + b"y" * 20_000 + b"\r\n", b"X : y\r\n", b"X\r\n"):
        client = connect()
        client.send(message(POST, HOST, CHUNKED_FIELD, body=b"0\r\n" + trailers + b"\r\n"))
        assert client.response().status in (400, 431)
        assert client.end() == FIN
    assert not any(request.complete for request in origin.requests)


def test_21_pipelined_requests_are_answered_in_order_and_none_is_lost(client, origin):
    count = 50
    origin.script = lambda request, peer: peer.send(
        message(
            "HTTP/1.1 200 OK",
            f"Content-Length: {len(request.target)}",
            body=peer.body(request).target.encode(),
        )
    )
    client.send(
        b"".join(
            message(POST, HOST, f"Content-Length: {n}", body=b"b" * n).replace(b" / ", f" /{n} ".encode())
            for n in range(count)
        )
    )
    assert [client.response().body for _ in range(count)] == [f"/{n}".encode() for n in range(count)]
    assert [(request.target, len(request.body)) for request in origin.wait(count)] == [
        (f"/{n}", n) for n in range(count)
    ]


def test_21_bytes_behind_a_request_never_reach_another_stream(connect, origin):
    first, second = connect(), connect()
    gate = threading.Event()
    origin.script = in_turn(reply(gate, OK), reply(OK), reply(OK), reply(OK))
    # The first client's next request has half arrived while the second client is served.
    first.send(message(POST, HOST, "Content-Length: 3", body=b"abc") + b"GET /first")
    origin.wait(1)
    assert second.ask(message("GET /second HTTP/1.1", HOST)).status == 200
    gate.set()
    assert first.response().status == 200
    assert second.ask(message("GET /second HTTP/1.1", HOST)).status == 200
    first.send(b" HTTP/1.1\r\nHost: a\r\n\r\n")
    assert first.response().status == 200
    assert [request.target for request in origin.wait(4)] == ["/", "/second", "/second", "/first"]
    assert origin.requests[0].body == b"abc"


def test_22_nothing_of_a_request_goes_out_before_its_head_was_checked(connect, origin):
    client = connect()
    client.send(message(POST, HOST, "X-A: b", body=b"")[:-2], b"Content-Length: 5\r\n")
    assert connect().ask(message("GET /other HTTP/1.1", HOST)).status == 200
    client.send(b"Content-Length: 6\r\n\r\nabcdef")
    assert client.response().status == 400
    assert client.end() == FIN
    assert connect().ask(message("GET /after HTTP/1.1", HOST)).status == 200
    assert [request.target for request in origin.wait(2)] == ["/other", "/after"]


def test_22_nothing_of_a_response_goes_out_before_its_head_was_checked(client, origin):
    gate = threading.Event()
    origin.script = reply(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", gate, b"Content-Length: 6\r\n\r\nsecret"
    )
    client.send(message("GET / HTTP/1.1", HOST))
    origin.one()
    gate.set()
    answer = client.final()
    assert answer.status == 502
    assert b"secret" not in client.received


def test_22_a_connection_on_which_an_origin_said_too_much_serves_nobody_else(connect, origin):
    leak = message("HTTP/1.1 200 OK", "Content-Length: 6", body=b"secret")
    origin.script = in_turn(reply(OK + leak), reply(OK))
    assert connect().ask(message("GET /one HTTP/1.1", HOST)).body == b"ok"
    assert connect().ask(message("GET /two HTTP/1.1", HOST)).body == b"ok"
    one, two = origin.wait(2)
    assert one.connection is not two.connection
    assert one.connection.end() in ("FIN", "RST")


def test_22_a_connection_on_which_a_request_broke_serves_nobody_else(connect, origin):
    origin.script = may_be_cut(reply(OK))
    client = connect()
    client.send(message(POST, HOST, CHUNKED_FIELD), b"3\r\nabc\r\n")
    broken = origin.wait(1)[0]
    broken.wait_body(3)
    client.send(b"XYZ\r\n")
    assert client.response().status == 400
    broken.wait_cut()
    assert connect().ask(message("GET /after HTTP/1.1", HOST)).body == b"ok"
    assert origin.wait(2)[1].connection is not broken.connection
