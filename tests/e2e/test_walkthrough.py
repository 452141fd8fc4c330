"""The walk-through of the README, each line of it, in its order."""

import socket

import httpx
import pytest

from programs import ctl


@pytest.fixture
def host_identity(agent, tmp_path):
    path = tmp_path / "host.json"
    agent.ctl("identity", "create", "ws-host", "--out", path).ok()
    return path


@pytest.fixture
def client_identity(agent, tmp_path):
    path = tmp_path / "client.json"
    agent.ctl("identity", "create", "ws-client", "--out", path).ok()
    return path


def echoed(answer):
    """The websocket tool's report: each step with its seconds, and the echo at the end."""
    answer.ok()
    assert 'i received: "hi"' in answer.out.splitlines()[-1], answer.out
    return answer


def test_websocket_straight_to_the_endpoint(endpoint):
    answer = echoed(ctl("test", "websocket", endpoint.address))
    for step in ("resolve", "connect", "handshake", "echo"):
        assert step in answer.out


def test_identities_are_private_files_and_hold_their_key(agent, host_identity):
    assert host_identity.stat().st_mode & 0o777 == 0o600
    assert "PRIVATE KEY" in host_identity.read_text()


def test_websocket_straight_over_the_overlay(programs, host_identity, client_identity):
    programs.tool("test", "endpoint", "--identity", host_identity, "--service", "ws")
    answer = echoed(ctl("test", "websocket", "--identity", client_identity, "--service", "ws"))
    assert "open" in answer.out


def test_several_tools_hold_one_identity(programs, host_identity):
    programs.tool("test", "endpoint", "--identity", host_identity, "--service", "ws")
    programs.tool("test", "endpoint", "--identity", host_identity, "--service", "other")
    for service in ("ws", "other"):
        echoed(ctl("test", "websocket", "--identity", host_identity, "--service", service))


def test_one_proxy(programs, endpoint):
    proxy = programs.tool("test", "proxy", "--listen", "127.0.0.1:0", "--to", endpoint.url)
    echoed(ctl("test", "websocket", proxy.address))
    assert httpx.get(proxy.url + "/bytes/100000").content == httpx.get(
        endpoint.url + "/bytes/100000"
    ).content


def test_a_proxy_listening_on_the_overlay_and_one_dialing_it(
    programs, endpoint, host_identity, client_identity
):
    programs.tool(
        "test", "proxy", "--identity", host_identity, "--service", "ws2", "--to", endpoint.url
    )
    echoed(ctl("test", "websocket", "--identity", client_identity, "--service", "ws2"))
    dialing = programs.tool(
        *("test", "proxy", "--listen", "127.0.0.1:0"),
        *("--identity", client_identity, "--to-service", "ws2"),
    )
    echoed(ctl("test", "websocket", dialing.address))


def test_the_whole(programs, agent, endpoint):
    agent.share(endpoint.url, "demo", "--public")
    access = agent.access("demo")
    front = agent.frontend()
    echoed(ctl("test", "websocket", access))
    port = front.rsplit(":", 1)[1]
    echoed(ctl("test", "websocket", f"demo.localhost:{port}"))
    assert agent.tunnel("demo-access")["access"]["service"] == "demo"


def test_the_whole_over_two_agents(pair, endpoint):
    alpha, beta = pair
    beta.share(endpoint.url, "demo", "--public")
    echoed(ctl("test", "websocket", alpha.access("demo")))
    port = alpha.frontend().rsplit(":", 1)[1]
    echoed(ctl("test", "websocket", f"demo.localhost:{port}"))


def test_a_timeout_names_the_stage_that_was_reached(programs):
    """A listener that accepts and says nothing: the handshake is where it ends."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        answer = ctl("test", "websocket", address, "--timeout", "500ms")
    answer.failed(1, "handshake")


def test_a_refused_connection_says_so():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        answer = ctl("test", "websocket", f"127.0.0.1:{bound.getsockname()[1]}")
    answer.failed(1, "connect", "refused")
