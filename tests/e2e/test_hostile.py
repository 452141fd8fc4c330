"""Bytes that make no sense, on every port: closed, bounded, and the agent goes on serving."""

import json
import random
import socket
import ssl

import httpx
import pytest

from programs import ANSWER, SANITIZED, ctl

CONNECTIONS = 10_000
AT_ONCE = 50
# What a first byte chooses: TLS's handshake record, a relay connection, HTTP, anything.
STARTS = [b"\x16\x03\x01", b"SIMPLON-RELAY/1", b"GET / HTTP/1.1\r\n", b"", b"\x00"]


def connect(address):
    """To host:port, or to the path of a unix socket."""
    if "/" in address:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(address)  # without a timeout: a full queue is waited for, not an error
        connection.settimeout(ANSWER)
        return connection
    host, port = address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=ANSWER)


def batter(address, seed):
    """Random bytes on 10,000 connections, some ended, some cut."""
    dice = random.Random(seed)
    left = CONNECTIONS
    while left > 0:
        batch = []
        for _ in range(min(AT_ONCE, left)):
            batch.append(connect(address))
        left -= len(batch)
        for connection in batch:
            try:
                connection.sendall(dice.choice(STARTS) + dice.randbytes(dice.randrange(200)))
                if dice.random() < 0.5:
                    connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # it was closed already, which is right
        for connection in batch:
            connection.close()


@pytest.mark.parametrize("port", ["hub", "access", "frontend", "control socket"])
def test_10000_random_connections_leave_the_port_serving(pair, endpoint, port):
    alpha, beta = pair
    beta.share(endpoint.url, "demo", "--public")
    access, front = alpha.access("demo"), alpha.frontend()
    addresses = {
        "hub": alpha.hub_address(),
        "access": access,
        "frontend": front,
        "control socket": str(alpha.socket),
    }
    batter(addresses[port], seed=port)
    assert httpx.get(f"http://{access}/status/200", timeout=ANSWER).status_code == 200
    answer = httpx.get(f"http://{front}/", headers={"Host": "demo.localhost"}, timeout=ANSWER)
    assert answer.status_code == 200
    # Joining still works, and nothing was kept of what came.
    alpha.invite("gamma")
    assert len(alpha.log.splitlines()) < 1000
    if not SANITIZED:
        assert alpha.memory() < 200 * 1024 * 1024


def test_tls_without_a_certificate_is_closed(agent):
    host, port = agent.hub_address().rsplit(":", 1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # a client without any trust: the hub must refuse *us*
    context.set_alpn_protocols(["simplon/1"])
    with socket.create_connection((host, int(port)), timeout=ANSWER) as raw:
        try:
            with context.wrap_socket(raw, server_hostname="hub") as tls:
                while tls.recv(1000):
                    pass
        except TimeoutError:
            pytest.fail("the hub keeps a connection without a certificate open")
        except OSError:
            pass  # refused with an alert, or reset
    agent.wait_line(r"hub: refused 1 connection from 127\.0\.0\.1")
    agent.ctl("status").ok()


def test_a_certificate_of_another_network_is_refused_and_logged_once(programs, tmp_path):
    one = programs.agent("one")
    two = programs.agent("two")
    path = tmp_path / "stranger.json"
    two.ctl("identity", "create", "stranger", "--out", path).ok()
    identity = json.loads(path.read_text())
    identity["addresses"] = [one.hub_address()]
    path.write_text(json.dumps(identity))
    for _ in range(2):
        answer = ctl("test", "websocket", "--identity", path, "--service", "x", "--timeout", "2s")
        answer.failed(1, "certificate")
    one.wait_line(r"hub: refused 1 connection from 127\.0\.0\.1")
    assert one.log.count("hub: refused") == 1, "once per source and interval"
    one.ctl("status").ok()


def test_an_http_request_to_the_hub_port_is_closed(agent):
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        httpx.get(f"http://{agent.hub_address()}/", timeout=ANSWER)
