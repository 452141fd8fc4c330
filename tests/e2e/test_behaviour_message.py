"""Request lines, targets, versions, methods and statuses, and when a connection lives on."""

import re

import pytest

from programs import SANITIZED
from raw_http import CHUNKED, FIN, OK, Cut, Origin, in_turn, message, reply

GET = "GET / HTTP/1.1"
HOST = "Host: a"


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        ["Host: a", "Host: a"],
        ["Host: a", "host: b"],
        ["Host:"],
        ["Host: a b"],
        ["Host: a,b"],
        ["Host: a/b"],
        ["Host: a:b"],
        ["Host: a:123456"],
        ["Host: [::1"],
        ["Host: user@a"],
        ["Host: a\\b"],
        ["Host: a?b"],
        ["Host: http://a"],
        ["Host: <a>"],
    ],
)
def test_11_a_host_that_is_missing_repeated_or_malformed_is_refused(refused, hosts):
    refused(message(GET, *hosts), 400)


@pytest.mark.parametrize("host", ["a", "A.example:8080", "127.0.0.1:1", "[::1]:80", "x_y", "a."])
def test_11_a_good_host_passes(client, origin, host):
    client.ask(message(GET, f"Host: {host}"))
    assert origin.one().value("host") == host


def test_11_an_absolute_target_overrides_host(client, origin):
    client.ask(message("GET http://target.example:81/x?y HTTP/1.1", "Host: other"))
    request = origin.one()
    assert (request.target, request.value("host")) == ("/x?y", "target.example:81")
    assert request.value("x-forwarded-host") == "target.example:81"


def test_11_a_bad_host_is_refused_even_behind_an_absolute_target(refused):
    refused(message("GET http://a/ HTTP/1.1", "Host: b", "Host: c"), 400)


def test_11_http_1_0_needs_no_host(standing_pair, client, origin):
    assert client.ask(b"GET / HTTP/1.0\r\n\r\n").status == 200
    service = standing_pair[1].called("origin")
    assert origin.one().value("host") == service, "the service's name: 1.1 needs one"


TARGETS = [
    "/",
    "//",
    "//evil.example/x",
    "/a%2Fb%2f%00%zz",
    "/a;b=c;d",
    "/a/../b/./c//d/",
    "/..%2f..",
    "/?",
    "/?a=b&a=b?c#d",
    "/a+b%20c'\"<>\\^`{|}[]",
    "/\xc3\xa9?\xff",
    "/http://a/",
]


@pytest.mark.parametrize("target", TARGETS)
def test_12_the_bytes_of_a_target_pass_unchanged(client, origin, target):
    client.ask(message(f"GET {target} HTTP/1.1", HOST))
    assert origin.one().target == target


@pytest.mark.parametrize("target", TARGETS)
def test_12_also_on_an_upgrade(client, origin, target):
    answer = client.ask(
        message(
            f"GET {target} HTTP/1.1",
            HOST,
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: x",
        )
    )
    assert answer.status == 200
    request = origin.one()
    assert (request.target, request.value("upgrade")) == (target, "websocket")


@pytest.mark.parametrize(
    "absolute, target",
    [
        ("http://h/a%2F?b;c#d", "/a%2F?b;c#d"),
        ("HTTP://h", "/"),
        ("http://h/", "/"),
        ("ws://h//x", "//x"),
    ],
)
def test_12_an_absolute_target_becomes_an_origin_form(client, origin, absolute, target):
    client.ask(message(f"GET {absolute} HTTP/1.1", "Host: h"))
    request = origin.one()
    assert (request.target, request.value("host")) == (target, "h")


def test_12_an_absolute_target_leads_nowhere_else(client, origin):
    elsewhere = Origin()
    elsewhere.script = reply(OK)
    answer = client.ask(message(f"GET http://{elsewhere.address}/x HTTP/1.1", HOST))
    assert answer.status == 200
    assert origin.one().value("host") == elsewhere.address
    elsewhere.close()
    assert elsewhere.requests == []


@pytest.mark.parametrize(
    "line",
    [
        "GET * HTTP/1.1",
        "GET a HTTP/1.1",
        "GET a:80 HTTP/1.1",
        "GET ftp://a/ HTTP/1.1",
        "GET http:/a HTTP/1.1",
        "GET http:// HTTP/1.1",
        "GET http://u@a/ HTTP/1.1",
        "GET http://a:b/ HTTP/1.1",
        "GET  HTTP/1.1",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET /a b HTTP/1.1",
        "GET\t/ HTTP/1.1",
        " GET / HTTP/1.1",
        "GET /",
        "GET / http/1.1",
        "GET / HTTP/1",
        "GET / HTTP/11",
        "GET / HTTP/01.1",
        "G(T / HTTP/1.1",
    ],
)
def test_12_other_request_lines_are_refused(refused, line):
    refused(message(line, HOST), 400)


def test_12_an_asterisk_is_for_options(client, origin):
    client.ask(message("OPTIONS * HTTP/1.1", HOST))
    assert (origin.one().method, origin.requests[0].target) == ("OPTIONS", "*")


@pytest.mark.parametrize(
    "method", ["get", "Get", "PATCH", "PROPFIND", "M-SEARCH", "X", "!#$%&'*+-.^_`|~", "A" * 60]
)
def test_13_methods_pass_as_they_are(client, origin, method):
    assert client.ask(message(f"{method} / HTTP/1.1", HOST)).status == 200
    assert origin.one().method == method


@pytest.mark.parametrize("method", ["TRACE", "TRACK"])
def test_13_trace_shows_nobody_what_proxies_add(refused, method):
    answer = refused(message(f"{method} / HTTP/1.1", HOST, "Cookie: a=b"), 405)
    assert method not in answer.value("allow").split(", ")
    assert b"a=b" not in answer.raw + answer.body


@pytest.mark.parametrize("sent, got", [("5", "3"), ("2", "0"), ("4294967296", "4294967294")])
def test_13_max_forwards_of_options_counts_both_hops(client, origin, sent, got):
    client.ask(message("OPTIONS / HTTP/1.1", HOST, f"Max-Forwards: {sent}"))
    assert origin.one().value("max-forwards") == got


@pytest.mark.parametrize("left", ["0", "1"])
def test_13_the_hop_at_which_max_forwards_ends_answers(client, origin, left):
    answer = client.ask(message("OPTIONS / HTTP/1.1", HOST, f"Max-Forwards: {left}"))
    assert answer.status == 200
    assert "GET" in answer.value("allow")
    assert client.ask(message("GET /next HTTP/1.1", HOST)).status == 200
    assert [request.target for request in origin.wait(1)] == ["/next"]


def test_13_max_forwards_of_other_methods_is_not_ours(client, origin):
    client.ask(message(GET, HOST, "Max-Forwards: 0"))
    assert origin.one().value("max-forwards") == "0"


def test_14_a_1_0_client_gets_no_chunks_and_the_end_of_the_connection(client, origin):
    origin.script = reply(CHUNKED, b"2\r\nok\r\n", b"3\r\n...\r\n0\r\nX-T: 1\r\n\r\n")
    client.send(message("GET / HTTP/1.0", HOST))
    answer = client.response()
    assert (answer.framing, answer.body) == ("until close", b"ok...")
    assert answer.value("transfer-encoding") is None
    assert client.ended == FIN


def test_14_a_1_0_client_is_asked_for_no_second_request(client, origin):
    client.send(message("GET / HTTP/1.0", HOST))
    assert client.response().body == b"ok"
    assert client.end() == FIN
    assert origin.one().version == "1.1"


def test_14_an_answer_of_a_1_0_origin_keeps_a_1_1_client(client, origin):
    origin.script = in_turn(reply(OK.replace(b"1.1", b"1.0")), reply(OK))
    assert client.ask(message(GET, HOST)).body == b"ok"
    assert client.ask(message(GET, HOST)).body == b"ok"
    first, second = origin.wait(2)
    assert first.connection is not second.connection, "a 1.0 origin closes, unless it says else"


@pytest.mark.parametrize("version", ["HTTP/2.0", "HTTP/3.0", "HTTP/0.9", "HTTP/1.2", "HTTP/9.9"])
def test_14_other_versions_get_505(refused, version):
    refused(message(f"GET / {version}", HOST), 505)


def test_18_a_head_that_is_too_large_gets_431(refused):
    refused(message(GET, HOST, "X: " + "a" * 70_000), 431)
    # It need not be whole for that: nothing is kept beyond the limit.


def test_18_a_head_without_an_end_gets_431(client, origin):
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 30 + b"X: " + b"a" * 100_000)
    assert client.response().status == 431
    assert client.end() == FIN


def test_18_too_many_fields_get_431(refused):
    refused(message(GET, HOST, *(f"X-{n}: y" for n in range(128))), 431)


def test_18_a_request_line_that_is_too_long_gets_414(refused):
    refused(message(f"GET /{'a' * 17_000} HTTP/1.1", HOST), 414)


def test_18_a_request_line_without_an_end_gets_414(client, origin):
    client.send(b"GET /" + b"a" * 40_000)
    assert client.response().status == 414
    assert client.end() == FIN


def test_18_what_fits_passes(client, origin):
    target = "/" + "t" * 15_000
    fields = [f"X-{n}: {'y' * 300}" for n in range(120)]
    assert client.ask(message(f"GET {target} HTTP/1.1", HOST, *fields)).status == 200
    request = origin.one()
    assert request.target == target
    assert len([name for name in request.names() if re.fullmatch(r"x-\d+", name)]) == 120


@pytest.mark.parametrize(
    "fields", [["X: " + "a" * 70_000], [f"X-{n}: y" for n in range(130)]], ids=["large", "many"]
)
def test_18_a_head_of_a_response_is_bounded_too(client, origin, fields):
    origin.script = reply(message("HTTP/1.1 200 OK", *fields, "Content-Length: 0"))
    assert client.ask(message(GET, HOST)).status == 502


def test_18_the_agent_keeps_nothing_of_a_head_that_never_ends(standing_pair, client, origin):
    before = standing_pair[0].memory()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
    try:
        for _ in range(1000):
            client.send(b"a" * 65536)
    except OSError:
        pass  # it was closed, which is right
    if not SANITIZED:  # such a build keeps what was freed
        assert standing_pair[0].memory() < before + 16 * 1024 * 1024


def test_23_head_gets_the_length_and_no_body(client, origin):
    head = message("HTTP/1.1 200 OK", "Content-Length: 1000000", "ETag: x")
    origin.script = in_turn(reply(head), reply(message("HTTP/1.1 404 No", "Content-Length: 7")), reply(OK))
    for status, length in ((200, "1000000"), (404, "7")):
        answer = client.ask(message("HEAD / HTTP/1.1", HOST), "HEAD")
        assert (answer.status, answer.value("content-length")) == (status, length)
    assert client.ask(message(GET, HOST)).body == b"ok", "on the same connection"
    assert {request.connection for request in origin.wait(3)} == {origin.requests[0].connection}


def test_23_head_of_a_chunked_resource_has_no_body(client, origin):
    origin.script = in_turn(reply(CHUNKED), reply(OK))
    answer = client.ask(message("HEAD / HTTP/1.1", HOST), "HEAD")
    assert answer.status == 200
    assert client.ask(message(GET, HOST)).body == b"ok"


def test_23_our_own_answer_to_head_has_no_body(client, origin):
    origin.script = reply(b"nonsense\r\n\r\n")
    assert client.ask(message("HEAD / HTTP/1.1", HOST), "HEAD").status == 502
    origin.script = reply(OK)
    assert client.ask(message(GET, HOST)).body == b"ok"


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("framing", [[], ["Content-Length: 5"], ["Transfer-Encoding: chunked"]])
def test_24_204_and_304_have_no_body(client, origin, status, framing):
    origin.script = in_turn(reply(message(f"HTTP/1.1 {status} X", *framing)), reply(OK))
    answer = client.ask(message(GET, HOST))
    assert (answer.status, answer.value("transfer-encoding")) == (status, None)
    length = "5" if status == 304 and framing == ["Content-Length: 5"] else None
    assert answer.value("content-length") == length
    assert client.ask(message(GET, HOST)).body == b"ok", "on the same connection"


def test_24_bytes_behind_a_204_are_no_answer_to_the_next_request(client, origin):
    extra = message("HTTP/1.1 200 OK", "Content-Length: 5", body=b"wrong")
    origin.script = in_turn(reply(b"HTTP/1.1 204 X\r\nContent-Length: 5\r\n\r\n" + extra), reply(OK))
    assert client.ask(message(GET, HOST)).status == 204
    assert client.ask(message(GET, HOST)).body == b"ok"


@pytest.mark.parametrize("framing", ["Content-Length: 5", "Transfer-Encoding: chunked"])
def test_24_an_interim_response_has_no_framing(client, origin, framing):
    origin.script = reply(message("HTTP/1.1 103 Early Hints", framing, "Link: x") + OK)
    answer = client.ask(message(GET, HOST))
    assert answer.body == b"ok"
    (hint,) = answer.interim
    assert [name for name in hint.names() if name not in ("via", "date")] == ["link"]


@pytest.mark.parametrize("framing", [["Content-Length: 0"], [], ["Transfer-Encoding: chunked"]])
def test_25_205_has_length_0(client, origin, framing):
    chunked = framing == ["Transfer-Encoding: chunked"]
    body = b"0\r\n\r\n" if chunked else b""
    origin.script = in_turn(reply(message("HTTP/1.1 205 Reset", *framing, body=body)), reply(OK))
    answer = client.ask(message(GET, HOST))
    assert (answer.status, answer.body) == (205, b"")
    assert (answer.value("content-length"), answer.value("transfer-encoding")) == ("0", None)
    assert client.ask(message(GET, HOST)).body == b"ok", "on the same connection"


def test_38_close_of_a_client_ends_only_its_own_connection(connect, origin):
    closing = connect()
    answer = closing.ask(message(GET, HOST, "Connection: close"))
    assert answer.value("connection") == "close"
    assert closing.end() == FIN
    first = origin.one()
    assert first.value("connection") is None
    # Each loop of the agent keeps connections of its own: one of the next clients meets the first.
    for _ in range(50):
        connect().ask(message(GET, HOST, "Connection: close"))
        if origin.requests[-1].connection is first.connection:
            break
    else:
        pytest.fail("the origin's connection was not kept")


@pytest.mark.parametrize("value", ["close", "x, CLOSE", "keep-alive, close"])
def test_38_close_of_an_origin_ends_only_its_own_connection(client, origin, value):
    closing = message("HTTP/1.1 200 OK", f"Connection: {value}", "Content-Length: 2", body=b"ok")
    origin.script = in_turn(reply(closing), reply(OK))
    assert client.ask(message(GET, HOST)).value("connection") is None
    assert client.ask(message(GET, HOST)).status == 200
    first, second = origin.wait(2)
    assert first.connection is not second.connection
    assert first.connection.end() == FIN


def test_38_a_1_0_client_can_keep_its_connection(client, origin):
    kept = message("GET / HTTP/1.0", HOST, "Connection: Keep-Alive")
    for _ in range(2):
        answer = client.ask(kept)
        assert (answer.value("connection"), answer.body) == ("keep-alive", b"ok")
    assert client.ask(message("GET / HTTP/1.0", HOST)).value("connection") == "close"
    assert client.end() == FIN
    assert len(origin.wait(3)) == 3


def test_38_a_1_0_origin_can_keep_its_connection(client, origin):
    kept = message("HTTP/1.0 200 OK", "Connection: keep-alive", "Content-Length: 2", body=b"ok")
    origin.script = reply(kept)
    for _ in range(2):
        assert client.ask(message(GET, HOST)).body == b"ok"
    first, second = origin.wait(2)
    assert first.connection is second.connection


def test_38_nothing_behind_a_closing_request_is_answered(client, origin):
    client.send(
        message(GET, HOST, "Connection: close") + message("GET /2 HTTP/1.1", HOST)
    )
    assert client.response().status == 200
    assert client.end() == FIN
    assert len(origin.wait(1)) == 1


@pytest.mark.parametrize("target", ["a:443", "a", "http://a/", "127.0.0.1:22", "[::1]:22"])
def test_50_connect_is_refused(refused, target):
    answer = refused(message(f"CONNECT {target} HTTP/1.1", "Host: a:443"), 405, 400)
    if target != "a":
        assert answer.status == 405
        assert "CONNECT" not in answer.value("allow").split(", ")


def test_50_connect_opens_no_connection(client, origin):
    """Nobody can enable it: a target is what a share says, and nothing else."""
    elsewhere = Origin()
    client.send(message(f"CONNECT {elsewhere.address} HTTP/1.1", f"Host: {elsewhere.address}"))
    client.send(message(GET, HOST))
    try:
        assert client.response().status == 405
        assert client.end() == FIN
    except Cut as cut:
        pytest.fail(f"no answer but {cut}")
    elsewhere.close()
    assert elsewhere.requests == []
