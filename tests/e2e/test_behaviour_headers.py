"""Which fields pass, which end at a hop, and that nothing else is touched.

A request crosses two engines (access and share), a response too: what the origin or the client sees
has been through both.
"""

import gzip

import pytest

from raw_http import CHUNKED, OK, in_turn, message, reply

GET = "GET / HTTP/1.1"
HOST = "Host: a"

# What the path itself adds to a request; all else must be the client's.
ADDED = {
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "forwarded",
    "via",
}


def client_fields(request):
    return [(name, value) for name, value in request.fields if name.lower() not in ADDED]


@pytest.mark.parametrize(
    "connection",
    [
        ["Connection: X-One, X-Two"],
        ["Connection: X-One", "Connection: X-Two"],
        ["cOnNeCtIoN: x-oNe, ,, X-TWO ,"],
        ["Connection: ,", "Connection:", "CONNECTION:  ,X-One,\tkeep-alive", "connection: x-two"],
    ],
)
def test_01_connection_and_what_it_names_end_at_the_hop(client, origin, connection):
    hop = ["X-One: 1", "X-two: 2", "X-ONE: 3"]
    origin.script = reply(
        message("HTTP/1.1 200 OK", "X-Kept: r", *hop, *connection, "Content-Length: 2", body=b"ok")
    )
    answer = client.ask(message(GET, HOST, *hop, "X-Kept: q", *connection))
    request = origin.one()
    for got, kept in ((request, "q"), (answer, "r")):
        assert not {"connection", "x-one", "x-two"} & set(got.names())
        assert got.value("x-kept") == kept


def test_01_connection_may_name_many_fields(client, origin):
    """All of them are stripped, or the message is refused: none slips through at the end."""
    names = [f"X-Hop-{n}" for n in range(60)]
    fields = [f"Connection: {', '.join(names)}", *(f"{name}: 1" for name in names)]
    origin.script = reply(message("HTTP/1.1 200 OK", *fields, "Content-Length: 2", body=b"ok"))
    answer = client.ask(message(GET, HOST))
    assert answer.status in (200, 502)
    assert not [name for name in answer.names() if name.startswith("x-hop")]
    request = client.ask(message("GET /named HTTP/1.1", HOST, *fields))
    if request.status != 400:
        named = origin.wait(2)[1]
        assert not [name for name in named.names() if name.startswith("x-hop")]


def test_02_hop_by_hop_fields_are_stripped_from_a_request(client, origin):
    client.ask(
        message(
            GET,
            HOST,
            "Keep-Alive: timeout=5",
            "Proxy-Connection: keep-alive",
            "Proxy-Authenticate: Basic",
            "Proxy-Authorization: Basic eA==",
            "TE: gzip",
            "Upgrade: foo/2",
            "Connection: Upgrade, TE",
            "X-Kept: 1",
        )
    )
    assert client_fields(origin.one()) == [("Host", "a"), ("X-Kept", "1")]


def test_02_hop_by_hop_fields_are_stripped_from_a_response(client, origin):
    origin.script = reply(
        message(
            "HTTP/1.1 200 OK",
            "Keep-Alive: timeout=5",
            "Proxy-Connection: keep-alive",
            "Proxy-Authenticate: Basic",
            "Proxy-Authorization: Basic eA==",
            "TE: gzip",
            "Upgrade: foo/2",
            "Connection: Upgrade",
            "X-Kept: 1",
            "Content-Length: 2",
            body=b"ok",
        )
    )
    answer = client.ask(message(GET, HOST))
    assert sorted(name for name in answer.names() if name not in ("date", "via")) == [
        "content-length",
        "x-kept",
    ]


@pytest.mark.parametrize("te", [["TE: gzip, Trailers;q=1, deflate"], ["TE: gzip", "te: trailers"]])
def test_02_of_te_only_trailers_is_kept(client, origin, te):
    te = [field.replace("Trailers;q=1", "Trailers") for field in te]
    client.ask(message(GET, HOST, *te, "Connection: TE"))
    request = origin.one()
    assert request.value("te") == "trailers"
    assert request.value("connection").lower() == "te"


def test_02_bodies_are_framed_anew_on_each_hop(client, origin):
    origin.script = reply(CHUNKED, b"00002;x\r\nok\r\n0\r\n\r\n")
    body = b"003;a=b\r\nabc\r\n0000\r\n\r\n"
    answer = client.ask(message("POST / HTTP/1.1", HOST, "Transfer-Encoding: Chunked", body=body))
    request = origin.one()
    for got, body in ((request, b"abc"), (answer, b"ok")):
        assert got.values("transfer-encoding") == ["chunked"]
        assert (got.body, got.extensions, got.value("content-length")) == (body, [], None)


@pytest.mark.parametrize(
    "named",
    [
        "X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto, X-Forwarded-Port, Forwarded",
        "x-forwarded-for",
        "Host, Cookie, Content-Length, Authorization",
        "close, HOST, cookie, content-length, AUTHORIZATION, X-FORWARDED-FOR",
    ],
)
def test_03_connection_cannot_delete_what_frames_routes_or_says_who_asks(client, origin, named):
    client.ask(
        message(
            "POST / HTTP/1.1",
            "Host: named",
            f"Connection: {named}",
            "Cookie: a=b",
            "Authorization: Basic eA==",
            "Content-Length: 3",
            "X-Forwarded-For: 203.0.113.9",
            body=b"abc",
        )
    )
    request = origin.one()
    assert (request.value("host"), request.body) == ("named", b"abc")
    assert (request.value("cookie"), request.value("authorization")) == ("a=b", "Basic eA==")
    assert request.value("x-forwarded-for").endswith("127.0.0.1")
    assert request.value("x-forwarded-host") == "named"
    assert request.value("x-forwarded-proto") == "http"
    assert "for=127.0.0.1" in request.value("forwarded")


def test_03_connection_of_a_response_cannot_delete_its_framing_or_cookies(client, origin):
    origin.script = reply(
        message(
            "HTTP/1.1 200 OK",
            "Connection: Content-Length, Set-Cookie",
            "Set-Cookie: a=b",
            "Content-Length: 2",
            body=b"ok",
        ),
    )
    answer = client.ask(message(GET, HOST))
    assert (answer.value("content-length"), answer.body) == ("2", b"ok")
    assert answer.value("set-cookie") == "a=b"


def test_42_conditions_ranges_and_caching_pass_unchanged(client, origin):
    asked = [
        ("Range", "bytes=0-1,  3-"),
        ("If-Range", 'W/"x y"'),
        ("If-Match", '"a", "b"'),
        ("If-None-Match", "*"),
        ("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("If-Unmodified-Since", "nonsense"),
        ("Cache-Control", "no-cache, max-age=0"),
        ("Pragma", "no-cache"),
    ]
    given = [
        ("ETag", 'W/"x y"'),
        ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("Content-Range", "bytes 0-1/10"),
        ("Content-Encoding", "x-odd, gzip"),
        ("Content-Type", "text/plain; charset=x"),
        ("Cache-Control", "private, no-transform"),
        ("Accept-Ranges", "bytes"),
        ("Age", "7"),
        ("Expires", "0"),
        ("Vary", "*"),
    ]
    lines = [f"{name}: {value}" for name, value in given]
    origin.script = in_turn(
        reply(message("HTTP/1.1 206 Partial Content", *lines, "Content-Length: 2", body=b"ok")),
        reply(message("HTTP/1.1 304 Not Modified", *lines)),
        reply(message("HTTP/1.1 412 Precondition Failed", *lines, "Content-Length: 0")),
        reply(
            message(
                "HTTP/1.1 416 Range Not Satisfiable", "Content-Range: bytes */10", "Content-Length: 0"
            )
        ),
    )
    request = message(GET, HOST, *(f"{name}: {value}" for name, value in asked))
    for status, body in ((206, b"ok"), (304, b""), (412, b"")):
        answer = client.ask(request)
        assert (answer.status, answer.body) == (status, body)
        assert [field for field in answer.fields if field in given] == given
    assert client.ask(request).value("content-range") == "bytes */10"
    for seen in origin.wait(4):
        assert [field for field in seen.fields if field in asked] == asked


def test_43_repeated_fields_keep_order_and_number(client, origin):
    cookies = ["a=1; Path=/", "b=2, with a comma", "a=3", "", "b=2, with a comma"]
    repeated = [("X-Re", "1"), ("x-re", "2"), ("X-Other", "-"), ("X-RE", "1"), ("X-Re", "")]
    lines = [f"{name}: {value}" for name, value in repeated]
    origin.script = reply(
        message(
            "HTTP/1.1 200 OK",
            "Set-Cookie: " + cookies[0],
            *lines[:2],
            *(f"set-cookie: {cookie}" for cookie in cookies[1:]),
            *lines[2:],
            "Content-Length: 2",
            body=b"ok",
        )
    )
    answer = client.ask(message(GET, HOST, "Cookie: a=1", *lines, "Cookie: b=2", "Accept: x, y"))
    assert answer.values("set-cookie") == cookies
    assert [field for field in answer.fields if field in repeated] == repeated
    request = origin.one()
    assert [field for field in request.fields if field in repeated] == repeated
    assert request.values("cookie") == ["a=1", "b=2"]
    assert request.value("accept") == "x, y"


def test_44_the_case_of_names_and_bytes_above_ascii_pass(client, origin):
    odd = [("x-lower", "1"), ("X-UPPER", "2"), ("x-MiXeD_and.odd!#$%&'*+^`|~", "3")]
    high = ("X-High", "caf\xc3\xa9 \xff\x80\xfe")
    lines = [f"{name}: {value}" for name, value in [*odd, high]]
    origin.script = reply(
        message("HTTP/1.1 200 \xc3\xa9\xff fine", *lines, "Content-Length: 2", body=b"ok")
    )
    answer = client.ask(message("GET /caf\xc3\xa9?\xff HTTP/1.1", HOST, *lines))
    request = origin.one()
    assert request.target == "/caf\xc3\xa9?\xff"
    assert answer.reason == "\xc3\xa9\xff fine"
    for got in (request, answer):
        assert [field for field in got.fields if field in [*odd, high]] == [*odd, high]


def test_49_nothing_is_invented_for_a_client_that_says_little(client, origin):
    client.ask(message(GET, HOST))
    assert client_fields(origin.one()) == [("Host", "a")]


@pytest.mark.parametrize("agent", ["", "curl/8", "a (b) c/1 \xe9"])
def test_49_the_user_agent_is_the_clients(client, origin, agent):
    client.ask(message(GET, HOST, f"User-Agent: {agent}"))
    assert origin.one().values("user-agent") == [agent]


@pytest.mark.parametrize("accepted", [None, "", "identity", "gzip;q=0, *", "br , gzip"])
def test_51_compression_is_between_client_and_origin(client, origin, accepted):
    packed = gzip.compress(b"squeezed " * 100)
    origin.script = reply(
        message(
            "HTTP/1.1 200 OK",
            "Content-Encoding: gzip",
            "Vary: Accept-Encoding",
            f"Content-Length: {len(packed)}",
            body=packed,
        )
    )
    fields = [] if accepted is None else [f"Accept-Encoding: {accepted}"]
    answer = client.ask(
        message("POST / HTTP/1.1", HOST, *fields, f"Content-Length: {len(packed)}", body=packed)
    )
    assert (answer.body, answer.value("content-encoding")) == (packed, "gzip")
    request = origin.one()
    assert request.body == packed
    assert request.values("accept-encoding") == ([] if accepted is None else [accepted])


def test_51_a_plain_answer_is_not_compressed(client, origin):
    body = b"compressible " * 1000
    origin.script = in_turn(
        reply(message("HTTP/1.1 200 OK", f"Content-Length: {len(body)}", body=body)), reply(OK)
    )
    answer = client.ask(message(GET, HOST, "Accept-Encoding: gzip, br"))
    assert (answer.body, answer.value("content-encoding")) == (body, None)
