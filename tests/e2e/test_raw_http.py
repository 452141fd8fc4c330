"""The raw client and the recording origin, without an agent between them."""

import threading

import pytest

from raw_http import CHUNKED, FIN, OK, RST, Client, Cut, Malformed, Origin, in_turn, reply

GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def server():
    origin = Origin()
    origin.begin()
    yield origin
    origin.close()


def test_several_responses_come_on_one_connection_and_a_body_in_pieces_is_whole(server):
    gate = threading.Event()
    server.script = in_turn(reply(OK), reply(CHUNKED, b"3;x=y\r\nab", gate, b"c\r\n0\r\nT: v\r\n\r\n"))
    with Client(server.address) as client:
        client.send(GET, GET[:9], GET[9:])
        assert client.response().body == b"ok"
        head = client.response_head()
        assert head.framing == "chunked"
        gate.set()
        assert client.body(head).body == b"abc"
        assert head.trailers == [("T", "v")]
        assert head.extensions == [b";x=y"]
        client.half_close()
        assert client.end() == FIN
    assert [request.raw for request in server.wait(2)] == [GET, GET]
    server.finish()


@pytest.mark.parametrize("end", [FIN, RST])
def test_how_a_connection_ends_is_told(server, end):
    server.script = reply(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", end)
    with Client(server.address) as client:
        client.send(GET)
        with pytest.raises(Cut) as cut:
            client.response()
        assert cut.value.how == end
        assert cut.value.partial == b"ab"


def test_a_reset_of_the_client_reaches_the_script(server):
    seen = []
    done = threading.Event()

    def script(request, peer):
        seen.append(peer.end())
        done.set()

    server.script = script
    client = Client(server.address)
    client.send(GET)
    server.wait(1)
    client.reset()
    assert done.wait(10)
    assert seen == [RST]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
        CHUNKED + b"1 x\r\na\r\n0\r\n\r\n",
    ],
)
def test_a_message_that_is_no_http_is_not_forgiven(server, answer):
    server.script = reply(answer)
    with Client(server.address) as client:
        client.send(GET)
        with pytest.raises(Malformed):
            client.response()


def test_a_request_that_is_no_http_fails_the_test(server):
    with Client(server.address) as client:
        client.send(b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.end() == FIN
    with pytest.raises(AssertionError):
        server.finish()
