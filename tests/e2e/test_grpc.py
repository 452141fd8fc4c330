"""The control API as any gRPC client sees it: grpcio, with nothing but reflection."""

import socket
import subprocess

import grpc
import pytest

from api import Client
from programs import ANSWER


@pytest.fixture
def client(agent):
    with_socket = Client(agent.socket)
    yield with_socket
    with_socket.channel.close()


def refused(code, call, *arguments, **fields):
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **fields)
    assert caught.value.code() == code, caught.value
    return caught.value.details()


def test_reflection_lists_the_services(client):
    assert client.services() >= {"simplon.v1.Agent", "simplon.v1.Hub", "grpc.health.v1.Health"}


def test_health_says_serving(client):
    # The messages are two well-known fields; gRPC's own service is not in the reflection.
    check = client.channel.unary_unary("/grpc.health.v1.Health/Check")
    assert check(b"", timeout=ANSWER) == b"\x08\x01"


def test_a_tunnel_is_created_listed_got_and_deleted(client):
    made = client.agent(
        "CreateTunnel", tunnel={"name": "web", "share": {"target": "http://localhost:1"}}
    )
    assert made.name == "web" and made.uid and made.share.service == "web"
    assert made.create_time.seconds > 0
    assert client.agent("GetTunnel", name="web").uid == made.uid
    assert [tunnel.name for tunnel in client.agent("ListTunnels").tunnels] == ["web"]
    client.agent("DeleteTunnel", name="web")
    refused(grpc.StatusCode.NOT_FOUND, client.agent, "GetTunnel", name="web")


def test_an_access_keeps_the_port_that_was_chosen(client):
    made = client.agent("CreateTunnel", tunnel={"access": {"service": "demo"}})
    assert made.name == "demo-access"
    assert int(made.access.listen.rsplit(":", 1)[1]) > 0
    assert client.agent("GetTunnel", name=made.name).access.listen == made.access.listen


def test_a_name_is_unique_across_kinds(client):
    client.agent("CreateTunnel", tunnel={"name": "one", "access": {"service": "demo"}})
    details = refused(
        grpc.StatusCode.ALREADY_EXISTS,
        client.agent,
        "CreateTunnel",
        tunnel={"name": "one", "share": {"target": "http://localhost:1"}},
    )
    assert "one" in details


def test_a_request_id_makes_a_create_idempotent(client):
    fields = {"tunnel": {"access": {"service": "demo"}}, "request_id": "r-1"}
    first = client.agent("CreateTunnel", **fields)
    assert client.agent("CreateTunnel", **fields).uid == first.uid
    assert len(client.agent("ListTunnels").tunnels) == 1


@pytest.mark.parametrize(
    ("tunnel", "field"),
    [
        ({"name": "Not_A_Label", "share": {"target": "http://localhost:1"}}, "name"),
        ({"name": "a"}, "spec"),
        ({"name": "a", "share": {}}, "share.target"),
        ({"name": "a", "share": {"target": "ftp://x"}}, "share.target"),
        ({"name": "a", "access": {}}, "access.service"),
        ({"name": "a", "access": {"service": "demo", "listen": "nonsense"}}, "access.listen"),
        ({"name": "a", "frontend": {}}, "frontend.zone"),
        ({"name": "a", "labels": {"k": "v" * 1000}, "share": {"target": "http://a:1"}}, "labels"),
    ],
)
def test_an_invalid_field_is_named_and_changes_nothing(client, tunnel, field):
    details = refused(
        grpc.StatusCode.INVALID_ARGUMENT, client.agent, "CreateTunnel", tunnel=tunnel
    )
    assert field in details, details
    assert not client.agent("ListTunnels").tunnels


def test_lists_come_in_pages(client):
    for index in range(5):
        client.agent("CreateTunnel", tunnel={"name": f"t{index}", "access": {"service": "demo"}})
    names, token = [], ""
    while True:
        page = client.agent("ListTunnels", page_size=2, page_token=token)
        assert len(page.tunnels) <= 2
        names += [tunnel.name for tunnel in page.tunnels]
        token = page.next_page_token
        if not token:
            break
    assert names == [f"t{index}" for index in range(5)]
    refused(grpc.StatusCode.INVALID_ARGUMENT, client.agent, "ListTunnels", page_token="nonsense!")


def test_the_agent_tells_of_itself(client, agent):
    info = client.agent("GetAgent")
    assert info.name == "alpha" and info.pid == agent.pid
    assert info.hub.loopback_only
    assert [overlay.kind for overlay in client.agent("ListOverlays").overlays] == ["embedded"]


def test_the_log_level_changes_while_it_runs(client):
    assert client.agent("SetLogLevel", level="debug").previous == "info"
    assert client.agent("GetAgent").log_level == "debug"
    refused(grpc.StatusCode.INVALID_ARGUMENT, client.agent, "SetLogLevel", level="loud")


def test_signing_takes_a_request_and_gives_no_key(client, tmp_path):
    subprocess.run(
        ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        + ["-nodes", "-keyout", tmp_path / "key.pem", "-out", tmp_path / "csr.pem"]
        + ["-subj", "/CN=ignored"],
        check=True,
        capture_output=True,
    )
    csr = (tmp_path / "csr.pem").read_text()
    signed = client.hub("SignIdentity", name="tool", certificate_request=csr)
    assert "BEGIN CERTIFICATE" in signed.certificate
    assert "PRIVATE" not in str(signed)
    (tmp_path / "root.pem").write_text(signed.trust_bundle)
    (tmp_path / "cert.pem").write_text(signed.certificate)
    subprocess.run(
        ["openssl", "verify", "-CAfile", tmp_path / "root.pem", tmp_path / "cert.pem"],
        check=True,
        capture_output=True,
    )
    refused(
        grpc.StatusCode.INVALID_ARGUMENT,
        client.hub,
        "SignIdentity",
        name="tool2",
        certificate_request="nonsense",
    )


def test_an_agent_without_a_hub_says_so(programs):
    alone = programs.agent("alone", hub="none")
    client = Client(alone.socket)
    details = refused(
        grpc.StatusCode.FAILED_PRECONDITION, client.hub, "CreateInvitation", name="x"
    )
    assert "hub" in details
    client.channel.close()


def test_a_check_is_a_stream_of_steps_that_a_caller_may_leave(client, agent, endpoint):
    agent.ctl("share", endpoint.url, "--name", "web").ok()
    steps = list(client.stream("simplon.v1.Agent/CheckTunnel", name="web"))
    assert [step.hop for step in steps][:2] == ["target", "target HTTP"]
    assert all(step.state == 1 for step in steps) and steps[0].HasField("latency_microseconds")
    for _ in range(20):
        left = client.stream("simplon.v1.Agent/CheckTunnel", name="web")
        next(left)
        left.cancel()
    assert [step.hop for step in client.stream("simplon.v1.Agent/CheckOverlay", name="default")][0] == "identity"
    refused(grpc.StatusCode.NOT_FOUND, lambda: list(client.stream("simplon.v1.Agent/CheckTunnel", name="nothing")))
    bad = lambda: list(client.stream("simplon.v1.Agent/CheckTunnel", name="web", path="/\r\nX: y"))  # noqa: E731
    assert "path" in refused(grpc.StatusCode.INVALID_ARGUMENT, bad)


def test_checks_at_once_are_bounded(client, agent):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        agent.ctl("share", f"127.0.0.1:{silent.getsockname()[1]}", "--name", "silent").ok()
        check = lambda: client.stream("simplon.v1.Agent/CheckTunnel", name="silent")  # noqa: E731
        running = [check() for _ in range(16)]
        for each in running:
            assert next(each).hop == "target"
        refused(grpc.StatusCode.RESOURCE_EXHAUSTED, lambda: list(check()))
        for each in running:
            each.cancel()
