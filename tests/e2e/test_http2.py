"""HTTP/2 with prior knowledge: gRPC through access, overlay and share, and refusals that its clients
understand."""

import queue
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import grpc
import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings
import httpx
import pytest

from grpc_service import GATHERED, SERVICE, UNLIMITED
from programs import ANSWER
from raw_http import FIN, OK, message
from third_party import NGINX_READY, start_nginx, start_on_free_port, version_of

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def start_service(programs):
    """host:port of a new gRPC server, and the process."""
    process = programs.program(
        sys.executable, Path(__file__).with_name("grpc_service.py"), title="gRPC service"
    )
    return process.wait_line(r"listening on ([\d.:]+),").group(1), process


class Stub:
    """Calls of grpc_service.py with bytes for messages."""

    def __init__(self, address):
        self.channel = grpc.insecure_channel(
            address, options=[*UNLIMITED, ("grpc.use_local_subchannel_pool", 1)]
        )

    def __getattr__(self, method):
        kinds = {"Count": "unary_stream", "Hang": "unary_stream"}
        kinds |= {"Join": "stream_unary", "Chat": "stream_stream"}
        return getattr(self.channel, kinds.get(method, "unary_unary"))(f"/{SERVICE}/{method}")


def failure(call, *arguments, **options):
    with pytest.raises(grpc.RpcError) as caught:
        result = call(*arguments, timeout=ANSWER, **options)
        if not isinstance(result, bytes):
            list(result)
    return caught.value


class Talk:
    """Messages of a streaming call, given one by one."""

    def __init__(self):
        self._queue = queue.Queue()

    def say(self, text):
        self._queue.put(text)

    def end(self):
        self._queue.put(None)

    def __iter__(self):
        return self

    def __next__(self):
        text = self._queue.get(timeout=ANSWER)
        if text is None:
            raise StopIteration
        return text


@pytest.fixture(scope="module")
def grpc_address(standing, standing_pair):
    """host:port of an access to a gRPC service that the other agent shares."""
    alpha, beta = standing_pair
    beta.share("h2c://" + start_service(standing)[0], "rpc", "--public")
    return alpha.access("rpc")


@pytest.fixture
def stub(grpc_address, peer_version):
    peer_version(grpc.__version__)
    stub = Stub(grpc_address)
    yield stub
    stub.channel.close()


@pytest.fixture(scope="module")
def nginx(standing, standing_pair, tmp_path_factory):
    """host:port of an access to an nginx that speaks HTTP/2."""
    folder = tmp_path_factory.mktemp("nginx")
    (folder / "index.html").write_text("nginx over HTTP/2\n")
    alpha, beta = standing_pair

    def start(port):
        server = f"server {{ listen 127.0.0.1:{port} http2; root {folder}; }}"
        return start_nginx(standing, folder, server)

    port, _ = start_on_free_port(start, NGINX_READY, r"bind\(\) to")
    beta.share(f"h2c://127.0.0.1:{port}", "nginx-http2")
    return alpha.access("nginx-http2")


@pytest.fixture
def nginx_version(peer_version):
    peer_version(version_of("nginx", "-v"))


def run(*command, code=0):
    done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done.stdout + done.stderr


class Http2:
    """A client that is nothing but the h2 library's state machine, over a connection."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), ANSWER)
        self.state = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.state.initiate_connection()
        self.events = []
        self.sent = self.state.data_to_send()

    def send(self, *pieces):
        for piece in pieces or (self.sent,):
            self.socket.sendall(piece)
        return self

    def until(self, kind):
        """The first event of that kind; None at the end of the connection."""
        while not (found := [event for event in self.events if isinstance(event, kind)]):
            received = self.socket.recv(65536)
            if not received:
                return None
            self.events += self.state.receive_data(received)
            self.socket.sendall(self.state.data_to_send())
        return found[0]

    def settings(self):
        return self.until(h2.events.RemoteSettingsChanged).changed_settings

    def get(self, path):
        stream = self.state.get_next_available_stream_id()
        head = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", path)]
        self.state.send_headers(stream, head, end_stream=True)
        return self.send(self.state.data_to_send())


@pytest.fixture
def http2():
    clients = []

    def connect(address):
        clients.append(Http2(address))
        return clients[-1]

    yield connect
    for client in clients:
        client.socket.close()


def refusal(client):
    """(code, debug data) of the GOAWAY, behind which the connection ends in order."""
    goaway = client.until(h2.events.ConnectionTerminated)
    assert goaway is not None and goaway.last_stream_id == 0
    while client.socket.recv(65536):
        pass
    return goaway.error_code, goaway.additional_data.decode()


# gRPC


@pytest.mark.matrix("client", "grpcio", "gRPC: a unary call")
def test_a_unary_call(stub):
    assert stub.Echo(b"hello", timeout=ANSWER) == b"hello"


@pytest.mark.matrix("client", "grpcio", "gRPC: server streaming")
def test_server_streaming(stub):
    numbers = [str(number).encode() for number in range(1000)]
    assert list(stub.Count(b"1000", timeout=ANSWER)) == numbers


@pytest.mark.matrix("client", "grpcio", "gRPC: client streaming")
def test_client_streaming(stub):
    numbers = [str(number).encode() for number in range(1000)]
    assert stub.Join(iter(numbers), timeout=ANSWER) == b",".join(numbers)


@pytest.mark.matrix("client", "grpcio", "gRPC: streaming both ways, in turns")
def test_streaming_both_ways_in_turns(stub):
    talk = Talk()
    answers = stub.Chat(talk, timeout=ANSWER)
    for number in range(50):
        text = f"message {number}".encode()
        talk.say(text)
        assert next(answers) == b"re: " + text, "nothing is held back until more comes"
    talk.end()
    assert list(answers) == []


def test_two_streams_of_one_connection_do_not_wait_for_each_other(stub):
    talks = [Talk(), Talk()]
    answers = [stub.Chat(talk, timeout=ANSWER) for talk in talks]
    for turn in (1, 0, 0, 1, 1, 0):
        talks[turn].say(b"%d" % turn)
        assert next(answers[turn]) == b"re: %d" % turn
    for talk in talks:
        talk.end()


@pytest.mark.matrix("client", "grpcio", "gRPC: 100 calls at once on one connection")
def test_a_hundred_calls_at_once(stub):
    calls = [stub.Gather.future(b"%d" % number, timeout=ANSWER) for number in range(GATHERED)]
    assert [call.result() for call in calls] == [b"%d" % number for number in range(GATHERED)]


@pytest.mark.matrix("client", "grpcio", "gRPC: a message of 4 MiB there and back")
def test_a_large_message(stub):
    large = bytes(range(256)) * 16384
    assert stub.Echo(large, timeout=ANSWER) == large


@pytest.mark.matrix("client", "grpcio", "gRPC: metadata, trailers and status codes")
def test_metadata_trailers_and_status_codes(stub):
    given = (("x-text", "value"), ("x-data-bin", bytes(range(256))))
    _, call = stub.About.with_call(b"", timeout=ANSWER, metadata=given)
    assert set(given) <= set(call.initial_metadata())
    assert {*given, ("x-trailing", "of success")} <= set(call.trailing_metadata())
    for code in grpc.StatusCode:
        if code not in (grpc.StatusCode.OK, grpc.StatusCode.CANCELLED):
            error = failure(stub.Fail, f"{code.name} größer\n than 100 %".encode())
            assert (error.code(), error.details()) == (code, "größer\n than 100 %")
            assert ("x-trailing", "behind the failure") in error.trailing_metadata()
            assert ("x-bin", b"\0\xff") in error.trailing_metadata()


def test_within_one_agent(standing, agent):
    agent.share("h2c://" + start_service(standing)[0], "here")
    stub = Stub(agent.access("here"))
    assert stub.Echo(b"hello", timeout=ANSWER) == b"hello"
    stub.channel.close()


def test_a_method_that_is_not_there_is_unimplemented(stub):
    assert failure(stub.NotThere, b"").code() == grpc.StatusCode.UNIMPLEMENTED


def test_no_header_is_added_to_a_call(stub):
    known = httpx.Response(200, content=stub.About(b"", timeout=ANSWER)).json()
    assert known["metadata"] == ["user-agent"]
    # A deadline is rounded up to a few digits on its way.
    assert 0 < known["remaining"] < ANSWER + 1


@pytest.mark.matrix("client", "grpcio", "gRPC: a cancel and a deadline reach the server")
def test_a_cancel_and_a_deadline_reach_the_server(stub):
    hanging = stub.Hang(b"by cancel", timeout=ANSWER)
    assert next(hanging) == b"hanging"
    hanging.cancel()
    assert stub.HowEnded(b"by cancel", timeout=ANSWER) == b"cancelled"
    hanging = stub.Hang(b"by deadline", timeout=3)
    assert next(hanging) == b"hanging"
    with pytest.raises(grpc.RpcError) as caught:
        next(hanging)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert stub.HowEnded(b"by deadline", timeout=ANSWER) == b"cancelled"


def test_a_client_that_goes_away_cancels_its_calls(stub, grpc_address):
    leaving = Stub(grpc_address)
    assert next(leaving.Hang(b"by leaving", timeout=ANSWER)) == b"hanging"
    leaving.channel.close()
    assert stub.HowEnded(b"by leaving", timeout=ANSWER) == b"cancelled"


@pytest.mark.matrix("client", "grpcio", "gRPC: a server that dies mid-stream is UNAVAILABLE")
def test_a_server_that_dies_mid_stream_is_unavailable(programs, standing_pair, peer_version):
    peer_version(grpc.__version__)
    alpha, beta = standing_pair
    target, service = start_service(programs)
    beta.share("h2c://" + target, "mortal")
    stub = Stub(alpha.access("mortal"))
    hanging = stub.Hang(b"", timeout=ANSWER)
    assert next(hanging) == b"hanging"
    service.kill()
    with pytest.raises(grpc.RpcError) as caught:
        next(hanging)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    # Then nobody listens there, which is known at this end of the path.
    error = failure(stub.Echo, b"")
    assert error.code() == grpc.StatusCode.UNAVAILABLE
    stub.channel.close()


def test_a_share_that_is_deleted_cuts_its_calls_after_the_drain(programs, standing_pair):
    alpha, beta = standing_pair
    beta.share("h2c://" + start_service(programs)[0], "brief")
    stub = Stub(alpha.access("brief"))
    talk = Talk()
    answers = stub.Chat(talk, timeout=ANSWER)
    talk.say(b"before")
    assert next(answers) == b"re: before"
    deleting = threading.Thread(target=beta.ctl, args=("delete", "brief", "--drain", "2s"))
    deleting.start()
    talk.say(b"during")
    assert next(answers) == b"re: during", "a drain lets it go on"
    with pytest.raises(grpc.RpcError) as caught:
        next(answers)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    talk.end()
    deleting.join(ANSWER)
    stub.channel.close()


def counters(agent, name):
    """Those that are numbers."""
    found = agent.tunnel(name)["status"]["counters"]
    return {key: int(value) for key, value in found.items() if isinstance(value, str)}


def test_a_connection_is_counted_and_its_bytes_are(stub, standing_pair, grpc_address):
    alpha, beta = standing_pair
    before = counters(beta, "rpc")
    own = Stub(grpc_address)
    own.Echo(bytes(100_000), timeout=ANSWER)
    after = counters(beta, "rpc")
    assert after["connections"] == before["connections"] + 1
    assert after.get("requests", 0) == before.get("requests", 0)
    for direction in ("bytesIn", "bytesOut"):
        assert after[direction] - before.get(direction, 0) > 100_000
        assert counters(alpha, "rpc-access")[direction] >= 100_000
    own.channel.close()


@pytest.mark.matrix("client", "grpcio", "gRPC at an HTTP/1.1 service: is told what to do")
def test_grpc_to_an_http_target_is_told_what_to_do(access, standing_pair, peer_version):
    peer_version(grpc.__version__)
    before = counters(standing_pair[0], "origin-access").get("connections", 0)
    stub = Stub(access)
    error = failure(stub.Echo, b"hello")
    assert error.code() == grpc.StatusCode.UNAVAILABLE
    assert "this service speaks HTTP/1.1" in error.details(), error.details()
    tries = counters(standing_pair[0], "origin-access")["connections"] - before
    assert tries <= 4, "it does not connect again and again"
    stub.channel.close()


# HTTP/2 by other programs


@pytest.mark.matrix("client", "curl", "HTTP/2 with prior knowledge")
def test_curl_with_prior_knowledge(nginx, peer_version):
    peer_version(re.search(r"curl ([\d.]+)", run("curl", "--version")).group(1))
    said = run("curl", "-sv", "--http2-prior-knowledge", f"http://{nginx}/index.html")
    assert "nginx over HTTP/2" in said
    assert "HTTP/2 200" in said


@pytest.mark.matrix("client", "nghttp", "HTTP/2: several requests on one connection")
def test_nghttp_asks_several_times(nginx, peer_version):
    peer_version(re.search(r"[\d.]+\d", run("nghttp", "--version")).group(0))
    said = run("nghttp", "-v", "-m", "10", f"http://{nginx}/index.html")
    assert said.count(":status: 200") == 10
    assert said.count("nginx over HTTP/2") == 10


@pytest.mark.matrix("target", "nginx", "HTTP/2 without TLS")
def test_nginx_as_an_http2_target(nginx, nginx_version, http2):
    client = http2(nginx).send().get("/index.html")
    assert client.until(h2.events.DataReceived).data == b"nginx over HTTP/2\n"
    assert client.until(h2.events.StreamEnded)


def test_curl_at_an_http_target_is_refused_and_does_not_hang(access):
    done = subprocess.run(
        ["curl", "-sv", "--http2-prior-knowledge", f"http://{access}/"],
        capture_output=True,
        text=True,
        timeout=ANSWER,
    )
    assert done.returncode != 0
    assert "GOAWAY, error=1, last_stream=0" in done.stderr, done.stderr


@pytest.mark.matrix("client", "nghttp", "HTTP/2 at an HTTP/1.1 service: understands the refusal")
def test_nghttp_understands_the_refusal(access, peer_version):
    peer_version(re.search(r"[\d.]+\d", run("nghttp", "--version")).group(0))
    said = run("nghttp", "-v", f"http://{access}/")
    assert "error_code=PROTOCOL_ERROR(0x01)" in said
    assert "this service speaks HTTP/1.1" in said


# HTTP/1.1 and HTTP/2 meet


def test_14_the_preface_at_an_http_target_is_refused_in_http2(access, http2):
    code, why = refusal(http2(access).send())
    assert code == h2.errors.ErrorCodes.PROTOCOL_ERROR
    assert why.startswith("Simplon-Error: hop=target; reason=version_not_supported; ")
    assert "share the service as h2c://host:port" in why


def test_14_the_preface_may_come_byte_by_byte(access, http2):
    client = http2(access)
    client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.send(*(bytes([byte]) for byte in client.sent))
    assert refusal(client)[0] == h2.errors.ErrorCodes.PROTOCOL_ERROR


def test_14_a_request_sent_behind_the_preface_is_not_answered_but_refused(access, http2, origin):
    client = http2(access)
    assert refusal(client.send().get("/"))[0] == h2.errors.ErrorCodes.PROTOCOL_ERROR
    assert origin.wait(0) == []


def test_14_a_frontend_refuses_the_preface(standing_pair, http2):
    alpha, _ = standing_pair
    code, why = refusal(http2(alpha.frontend("h2.localhost")).send())
    assert code == h2.errors.ErrorCodes.PROTOCOL_ERROR
    assert why.startswith("Simplon-Error: hop=frontend; reason=version_not_supported; ")


def test_14_the_test_endpoint_refuses_the_preface(endpoint, http2):
    assert refusal(http2(endpoint.address).send())[0] == h2.errors.ErrorCodes.PROTOCOL_ERROR


def test_14_a_preface_after_a_request_is_a_bad_request(client, origin):
    assert client.ask(message("GET / HTTP/1.1", "Host: a")).status == 200
    client.send(PREFACE)
    assert client.response().status == 400
    assert client.end() == FIN
    assert len(origin.wait(1)) == 1


def test_14_an_http1_request_to_an_http2_target_is_505(grpc_address, connect):
    client = connect(grpc_address)
    answer = client.ask(message("GET / HTTP/1.1", "Host: a"))
    assert answer.status == 505
    assert answer.value("simplon-error") == "hop=target; reason=version_not_supported"
    assert b"speaks HTTP/2 only" in answer.body


def test_a_dead_target_is_named_in_the_refusal(standing_pair, http2):
    alpha, beta = standing_pair
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        beta.share(f"h2c://127.0.0.1:{closed.getsockname()[1]}", "dead-rpc")
        access = alpha.access("dead-rpc")
        code, why = refusal(http2(access).send())
        assert code == h2.errors.ErrorCodes.INTERNAL_ERROR
        assert "hop=target; reason=target_refused" in why
        stub = Stub(access)
        error = failure(stub.Echo, b"")
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        assert "target_refused" in error.details(), error.details()
        stub.channel.close()


def test_53_an_upgrade_to_h2c_is_not_forwarded(access, origin):
    said = run("curl", "-sv", "--http2", f"http://{access}/upgrade")
    assert "Upgrade: h2c" in said, "curl did ask"
    assert "HTTP/1.1 200" in said
    seen = origin.wait(1)[0]
    assert seen.values("upgrade") == []
    assert seen.values("http2-settings") == []


def test_66_a_refusal_offers_no_extended_connect(access, http2):
    client = http2(access).send()
    assert client.settings() == {}
    assert client.state.remote_settings.enable_connect_protocol == 0


def test_66_no_extended_connect_is_offered_in_a_targets_name(nginx, http2):
    client = http2(nginx).send()
    offered = client.settings()
    assert offered, "nginx has settings"
    assert h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL not in offered
