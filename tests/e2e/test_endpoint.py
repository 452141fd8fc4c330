"""The test endpoint, asked by third parties."""

import hashlib
import subprocess

import httpx
import websockets.sync.client

from programs import ANSWER


def test_root_shows_the_request(endpoint):
    answer = httpx.get(endpoint.url + "/?a=1", headers={"X-Probe": "seen"})
    assert answer.status_code == 200
    assert "X-Probe: seen" in answer.text
    assert "GET /?a=1" in answer.text


def test_bytes_are_as_many_as_asked(endpoint):
    answer = httpx.get(endpoint.url + "/bytes/1000003")
    assert len(answer.content) == 1000003
    assert answer.headers["content-length"] == "1000003"


def test_status_is_the_one_asked_for(endpoint):
    for status in (204, 304, 404, 418, 503):
        assert httpx.get(f"{endpoint.url}/status/{status}").status_code == status


def test_upload_answers_length_and_digest(endpoint):
    body = b"0123456789abcdef" * 65536
    answer = httpx.post(endpoint.url + "/upload", content=body).json()
    assert answer["length"] == len(body)
    assert answer["sha256"] == hashlib.sha256(body).hexdigest()


def test_upload_takes_a_chunked_body(endpoint):
    parts = [b"one", b"two" * 1000, b"three"]
    answer = httpx.post(endpoint.url + "/upload", content=iter(parts)).json()
    assert answer["sha256"] == hashlib.sha256(b"".join(parts)).hexdigest()


def test_events_come_one_by_one(endpoint):
    with httpx.stream("GET", endpoint.url + "/sse") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        first = next(line for line in answer.iter_lines() if line)
    assert first.startswith(("data:", "event:", "id:"))


def test_trailers_arrive_with_curl(endpoint):
    done = subprocess.run(
        ["curl", "-sv", "--raw", "-H", "TE: trailers", endpoint.url + "/trailers"],
        capture_output=True,
        text=True,
        timeout=ANSWER,
    )
    assert done.returncode == 0, done.stderr
    assert "\n0\n" in done.stdout.replace("\r", "")
    assert "trailer" in (done.stderr + done.stdout).lower()


def test_a_python_websocket_is_echoed(endpoint):
    with websockets.sync.client.connect(f"ws://{endpoint.address}/echo") as socket:
        socket.send("text")
        assert socket.recv(ANSWER) == "text"
        socket.send(b"\0\1\2" * 30000)
        assert socket.recv(ANSWER) == b"\0\1\2" * 30000


def test_a_node_websocket_is_echoed(endpoint, node_echo):
    assert node_echo(f"ws://{endpoint.address}/echo", "from node") == "from node"


def test_an_unknown_path_is_404_and_lists_what_there_is(endpoint):
    answer = httpx.get(endpoint.url + "/nothing/here")
    assert answer.status_code == 404
    assert "/echo" in answer.text
