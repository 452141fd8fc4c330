"""Two agents, a share on one, an access and a frontend on the other, used by third parties."""

import hashlib
import json
import socket
import subprocess
import threading

import httpx
import pytest
import websockets.sync.client

from programs import ANSWER


@pytest.fixture
def demo(pair, endpoint):
    """(access, frontend) of the shared endpoint, both host:port."""
    alpha, beta = pair
    beta.share(endpoint.url, "demo", "--public")
    return alpha.access("demo"), alpha.frontend()


def through(front, path, **options):
    headers = {"Host": "demo.localhost"} | options.pop("headers", {})
    return httpx.request(options.pop("method", "GET"), f"http://{front}{path}", headers=headers, **options)


def test_httpx_reads_a_large_body_through_both(demo):
    access, front = demo
    direct = httpx.get(f"http://{access}/bytes/20000000", timeout=ANSWER).content
    assert len(direct) == 20000000
    assert through(front, "/bytes/20000000", timeout=ANSWER).content == direct


def test_an_upload_arrives_whole(demo):
    access, front = demo
    body = bytes(range(256)) * 20000
    for answer in (
        httpx.post(f"http://{access}/upload", content=body, timeout=ANSWER),
        through(front, "/upload", method="POST", content=iter([body, b"end"]), timeout=ANSWER),
    ):
        assert answer.status_code == 200
    assert answer.json()["sha256"] == hashlib.sha256(body + b"end").hexdigest()


def test_events_are_not_held_back(demo):
    access, _ = demo
    with httpx.stream("GET", f"http://{access}/sse", timeout=ANSWER) as answer:
        lines = answer.iter_lines()
        assert next(line for line in lines if line)


def test_forwarding_headers_are_set_and_a_clients_are_not_believed_by_a_frontend(demo):
    access, front = demo
    seen = through(front, "/", headers={"X-Forwarded-For": "203.0.113.9"}).text
    assert "203.0.113.9" not in seen
    assert "X-Forwarded-For: 127.0.0.1" in seen
    assert "X-Forwarded-For: 127.0.0.1" in httpx.get(f"http://{access}/").text


def test_the_client_host_is_preserved(demo):
    _, front = demo
    assert "Host: demo.localhost" in through(front, "/").text


def test_curl_gets_trailers_and_keeps_its_connection(demo):
    access, _ = demo
    done = subprocess.run(
        ["curl", "-sv", "--fail", f"http://{access}/trailers", f"http://{access}/bytes/5"],
        capture_output=True,
        text=True,
        timeout=ANSWER,
    )
    assert done.returncode == 0, done.stderr
    assert "Re-using existing connection" in done.stderr


def test_python_websockets_through_both(demo):
    access, front = demo
    for connect in (
        lambda: websockets.sync.client.connect(f"ws://{access}/echo", max_size=None),
        lambda: websockets.sync.client.connect(
            "ws://demo.localhost/echo",
            sock=socket.create_connection(front.rsplit(":", 1)),
            max_size=None,
        ),
    ):
        with connect() as ws:
            ws.send("hi")
            assert ws.recv(ANSWER) == "hi"
            big = bytes(range(256)) * 8000
            ws.send(big)
            assert ws.recv(ANSWER) == big
        assert ws.close_code == 1000


def test_node_websockets_through_both(demo, node_echo):
    access, front = demo
    assert node_echo(f"ws://{access}/echo", "hello") == "hello"
    assert node_echo(f"ws://{front}/echo", "hello", "demo.localhost") == "hello"


def test_an_unknown_share_is_404_with_the_hop_and_reason(demo):
    _, front = demo
    answer = through(front, "/", headers={"Host": "nobody.localhost"})
    assert answer.status_code == 404
    assert "hop=" in answer.headers["simplon-error"]
    assert "no_such_service" in answer.headers["simplon-error"]
    as_json = through(
        front, "/", headers={"Host": "nobody.localhost", "Accept": "application/json"}
    )
    assert as_json.headers["content-type"].startswith("application/json")
    assert json.loads(as_json.text)


def test_a_share_that_is_not_public_refuses_frontends_and_serves_accesses(pair, endpoint):
    alpha, beta = pair
    beta.share(endpoint.url, "private")
    front = alpha.frontend()
    answer = httpx.get(f"http://{front}/", headers={"Host": "private.localhost"})
    assert answer.status_code in (403, 404)
    assert "not_permitted" in answer.headers["simplon-error"]
    assert httpx.get(f"http://{alpha.access('private')}/status/200").status_code == 200


def test_a_dead_target_is_502_at_hop_target(pair, programs):
    alpha, beta = pair
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        beta.share(f"http://127.0.0.1:{closed.getsockname()[1]}", "dead")
        answer = httpx.get(f"http://{alpha.access('dead')}/")
    assert answer.status_code == 502
    assert "hop=target" in answer.headers["simplon-error"]
    assert "target_refused" in answer.headers["simplon-error"]


def test_a_share_whose_agent_is_gone_is_503(pair, endpoint):
    alpha, beta = pair
    beta.share(endpoint.url, "demo")
    access = alpha.access("demo")
    assert httpx.get(f"http://{access}/status/200").status_code == 200
    beta.kill()
    answer = httpx.get(f"http://{access}/", timeout=ANSWER)
    assert answer.status_code == 503, answer.headers
    assert "hop=" in answer.headers["simplon-error"]


def test_a_unix_socket_is_a_target(pair, programs, tmp_path):
    alpha, beta = pair
    path = tmp_path / "app.sock"
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()

    # The share also looks whether its target is there: such a connection asks nothing.
    def serve():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                head = b""
                while b"\r\n\r\n" not in head and (data := connection.recv(65536)):
                    head += data
                if head:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nunix")

    threading.Thread(target=serve, daemon=True).start()
    beta.ctl("share", "unix:app.sock", "--name", "app", cwd=tmp_path).ok()
    assert beta.tunnel("app")["share"]["target"] == f"unix:{path}"
    assert httpx.get(f"http://{alpha.access('app')}/", timeout=ANSWER).text == "unix"
    server.close()


class Greeter:
    """A TCP server that speaks first, then echoes until the client ends, then says goodbye."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    @staticmethod
    def _serve(connection):
        with connection:
            try:
                connection.sendall(b"220 hello\n")
                while data := connection.recv(65536):
                    connection.sendall(data)
                connection.sendall(b"bye\n")
            except OSError:
                pass


def read_all(connection):
    parts = []
    while data := connection.recv(65536):
        parts.append(data)
    return b"".join(parts)


def test_raw_tcp_speaks_first_and_half_closes(pair):
    alpha, beta = pair
    greeter = Greeter()
    beta.share(f"tcp://{greeter.address}", "db")
    access = alpha.access("db", "--tcp")
    with socket.create_connection(access.rsplit(":", 1), timeout=ANSWER) as client:
        assert client.recv(10) == b"220 hello\n"
        payload = bytes(range(256)) * 4096
        client.sendall(payload)
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == payload + b"bye\n"
    greeter.listener.close()


def test_raw_tcp_to_a_dead_target_is_cut_at_once(pair):
    alpha, beta = pair
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        beta.share(f"tcp://127.0.0.1:{closed.getsockname()[1]}", "dead")
        access = alpha.access("dead", "--tcp")
        try:  # the reset may be there before connect() returns
            with socket.create_connection(access.rsplit(":", 1), timeout=ANSWER) as client:
                assert client.recv(1) == b""
        except ConnectionResetError:
            pass


def test_both_ends_in_one_agent(agent, endpoint):
    agent.share(endpoint.url, "demo")
    access = agent.access("demo")
    assert len(httpx.get(f"http://{access}/bytes/3000000", timeout=ANSWER).content) == 3000000
