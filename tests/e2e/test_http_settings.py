"""What a tunnel's owner chooses about HTTP: said in the API or on the command line, kept, told, and
in force."""

import contextlib
import re
from pathlib import Path

import grpc
import httpx
import pytest

from api import Client
from programs import ANSWER, ctl
from raw_http import OK, Client as Raw, Origin, message, reply

# Every field of HttpSettings, no two values alike, in protobuf's JSON mapping.
SETTINGS = {
    "timeouts": {
        "head": "1.500s",
        "idle": "2s",
        "connect": "3s",
        "firstByte": "4s",
        "body": "0s",
        "websocketIdle": "3600s",
        "halfClosed": "31536000s",
    },
    "limits": {
        "headBytes": 9000,
        "headerFields": 65,
        "targetBytes": 4096,
        "requestBodyBytes": "9223372036854775807",
        "connections": 17,
        "connectionsPerClient": 5,
    },
    "via": "VIA_OFF",
}
SHARE = {
    "service": "web",
    "overlay": "default",
    "target": "http://localhost:1",
    "public": True,
    "hostHeader": "app.internal",
    "rewriteReferences": True,
    "requestHeaders": [
        {"action": "ACTION_SET", "name": "X-A", "value": "1"},
        {"action": "ACTION_ADD", "name": "X-A", "value": "zwei"},
        {"action": "ACTION_REMOVE", "name": "X-B"},
    ],
    "responseHeaders": [{"action": "ACTION_REMOVE", "name": "Server"}],
    "peerHeader": "Simplon-Peer",
    "http": SETTINGS,
}
ACCESS = {
    "service": "web",
    "overlay": "default",
    "listen": "127.0.0.1:0",
    "protocol": "PROTOCOL_HTTP",
    "http": SETTINGS,
    "trustedProxies": ["10.0.0.0/8", "fd00::/8", "192.0.2.1"],
}
FRONTEND = {
    "overlay": "default",
    "listen": "127.0.0.1:0",
    "zone": "localhost",
    "http": SETTINGS,
    "trustedProxies": ["none"],
}
KINDS = {"share": SHARE, "access": ACCESS, "frontend": FRONTEND}

OPTIONS = [
    *("--timeout-head", "1500ms", "--timeout-idle", "2s", "--timeout-connect", "3s"),
    *("--timeout-first-byte", "4s", "--timeout-body", "none", "--timeout-websocket-idle", "1h"),
    *("--timeout-half-closed", "365d", "--max-head-bytes", "9000", "--max-header-fields", "65"),
    *("--max-target-bytes", "4KiB", "--max-body", "9223372036854775807"),
    *("--max-connections", "17", "--max-connections-per-client", "5", "--no-via"),
]


def without_port(kind, spec):
    return spec if kind == "share" else spec | {"listen": "127.0.0.1:0"}


def test_every_field_comes_back_the_same_after_kill_9(programs):
    agent = programs.agent("alpha")
    client = Client(agent.socket)
    uids = {}
    for kind, spec in KINDS.items():
        request = {"tunnel": {"name": kind, kind: spec}, "request_id": kind}
        made = client.json("simplon.v1.Agent/CreateTunnel", request)
        uids[kind] = made["uid"]
        assert without_port(kind, made[kind]) == spec
    client.channel.close()
    agent.kill()
    agent = programs.agent("alpha", state=agent.state)
    client = Client(agent.socket)
    for kind, spec in KINDS.items():
        got = client.json("simplon.v1.Agent/GetTunnel", {"name": kind})
        assert without_port(kind, got[kind]) == spec
        # The same request is known by all its fields, and another one is not it.
        request = {"tunnel": {"name": kind, kind: spec}, "request_id": kind}
        assert client.json("simplon.v1.Agent/CreateTunnel", request)["uid"] == uids[kind]
        limits = SETTINGS["limits"] | {"connections": 18}
        other = {"name": kind, kind: spec | {"http": SETTINGS | {"limits": limits}}}
        with pytest.raises(grpc.RpcError) as refused:
            client.json(
                "simplon.v1.Agent/CreateTunnel", {"tunnel": other, "request_id": kind}
            )
        assert refused.value.code() == grpc.StatusCode.ALREADY_EXISTS
    client.channel.close()


@pytest.mark.parametrize(
    ("kind", "change", "field"),
    [
        ("share", {"http": {"timeouts": {"head": "-1s"}}}, "share.http.timeouts.head"),
        ("share", {"http": {"timeouts": {"connect": "0s"}}}, "share.http.timeouts.connect"),
        ("access", {"http": {"timeouts": {"idle": "0.0001s"}}}, "access.http.timeouts.idle"),
        ("access", {"http": {"timeouts": {"body": "0.01s"}}}, "access.http.timeouts.body"),
        ("access", {"http": {"limits": {"connections": 20000}}}, "access.http.limits.connections"),
        ("frontend", {"http": {"limits": {"headBytes": 1}}}, "frontend.http.limits.head_bytes"),
        ("frontend", {"trustedProxies": ["x"]}, "frontend.trusted_proxies[0]"),
        ("share", {"requestHeaders": [{"name": "X-A"}]}, "share.request_headers[0].action"),
        ("share", {"peerHeader": "a b"}, "share.peer_header"),
        ("share", {"hostHeader": ""}, "share.rewrite_references"),
        ("share", {"target": "h2c://localhost:1"}, "share.host_header"),
        ("access", {"protocol": "PROTOCOL_TCP"}, "access.trusted_proxies"),
    ],
)
def test_a_refusal_names_the_field(settings_client, kind, change, field):
    with pytest.raises(grpc.RpcError) as refused:
        settings_client.json(
            "simplon.v1.Agent/CreateTunnel", {"tunnel": {kind: KINDS[kind] | change}}
        )
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details().startswith(field + ": "), refused.value.details()


def test_the_options_say_the_same_as_the_api(settings_agent):
    agent = settings_agent
    agent.share(
        "http://localhost:1", "web", "--public", "--host-header", "app.internal",
        "--rewrite-references", "--request-header", "X-A: 1", "--request-header", "+X-A: zwei",
        "--request-header", "-X-B", "--response-header", "-Server",
        "--peer-header", "Simplon-Peer", *OPTIONS,
    )  # fmt: skip
    agent.access(
        "web", "--name", "to-web", "--trust-proxy", "10.0.0.0/8", "--trust-proxy", "fd00::/8",
        "--trust-proxy", "192.0.2.1", *OPTIONS,
    )  # fmt: skip
    agent.frontend("localhost", "--name", "front", "--trust-proxy", "none", *OPTIONS)
    client = Client(agent.socket)
    for kind, name in {"share": "web", "access": "to-web", "frontend": "front"}.items():
        got = client.json("simplon.v1.Agent/GetTunnel", {"name": name})[kind]
        assert without_port(kind, got) == KINDS[kind]
        assert agent.tunnel(name)[kind]["http"]["timeouts"] == SETTINGS["timeouts"]
    client.channel.close()
    text = agent.ctl("get", "web").ok().out
    for line in (
        r"host header:      app.internal, references too",
        r"request header:   X-A: 1",
        r"request header:   +X-A: zwei",
        r"request header:   -X-B",
        r"response header:  -Server",
        r"peer header:      Simplon-Peer",
        "head 1500ms, idle 2s, connect 3s, first-byte 4s, body none, websocket-idle 60m",
        "head-bytes 9000, header-fields 65, target-bytes 4KiB",
        r"via:              off",
    ):
        assert line in text, text
    assert "10.0.0.0/8, fd00::/8, 192.0.2.1" in agent.ctl("get", "to-web").ok().out


def test_what_is_a_default_is_not_shown(settings_agent):
    settings_agent.share("http://localhost:1", "plain")
    text = settings_agent.ctl("get", "plain").ok().out
    for word in ("timeouts:", "limits:", "via:", "header:", "refused:"):
        assert word not in text, text
    assert "http" not in settings_agent.tunnel("plain")["share"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--timeout-head", "soon"], ["--timeout-head", "soon", "none"]),
        (["--timeout-head", "0s"], ["--timeout-head", "none"]),
        (["--max-body", "10MB"], ["--max-body", "10MiB"]),
        (["--max-connections", "0"], ["--max-connections"]),
        (["--max-connections", "many"], ["--max-connections", "number"]),
        (["--max-head-bytes", "5GiB"], ["--max-head-bytes", "too much"]),
        (["--request-header", "X-A"], ["--request-header", "NAME: VALUE"]),
        (["--response-header", "-X-A: 1"], ["--response-header", "-NAME"]),
    ],
)
def test_what_is_mistyped_is_a_usage_error(settings_agent, options, words):
    settings_agent.ctl("share", "3000", *options).failed(2, *words)


def test_the_agent_refuses_in_words_what_makes_no_sense(settings_agent):
    settings_agent.ctl("share", "h2c://localhost:1", "--host-header", "a").failed(
        2, "share.host_header", "h2c:// target"
    )
    settings_agent.ctl("access", "web", "--tcp", "--timeout-idle", "1m").failed(
        2, "access.http.timeouts.idle", "raw bytes"
    )


def test_a_full_access_and_a_full_share_answer_503_and_count_it(settings_agent):
    agent = settings_agent
    with contextlib.closing(Origin()) as origin:
        origin.script = reply(OK)
        agent.share(f"http://{origin.address}", "narrow", "--max-connections", "1")
        narrow = agent.access("narrow", "--max-connections", "2")
        with Raw(narrow) as first:
            first.send(message("GET / HTTP/1.1", "Host: a"))
            assert first.response().status == 200
            with Raw(narrow) as second:
                second.send(message("GET / HTTP/1.1", "Host: a"))
                answer = second.response()
                assert answer.status == 503
                assert answer.value("retry-after") == "1"
                assert answer.value("simplon-error") == "hop=share; reason=limit_exceeded"
                third = httpx.get(f"http://{narrow}/", timeout=ANSWER)
                assert third.status_code == 503
                assert third.headers["retry-after"] == "1"
                assert third.headers["simplon-error"] == "hop=access; reason=limit_exceeded"
    counters = agent.tunnel("narrow-access")["status"]["counters"]
    assert counters["refused"] == {"503": "2"}
    assert "503: 2" in agent.ctl("get", "narrow-access").ok().out


@pytest.fixture(scope="module")
def settings_agent(standing):
    return standing.agent("settings")


@pytest.fixture(scope="module")
def settings_client(settings_agent):
    client = Client(settings_agent.socket)
    yield client
    client.channel.close()


@pytest.mark.parametrize("command", ["share", "access", "frontend"])
def test_the_documents_list_every_option_with_its_default(command):
    rows = {}
    for line in (Path(__file__).parents[2] / "docs" / "http.md").read_text().splitlines():
        if found := re.match(r"\| `(--[a-z-]+)", line):
            rows[found.group(1)] = line
    group = ctl(command, "--help").ok().out.split("\nHTTP:\n")[1].split("\n\n")[0]
    options = re.findall(r"(?m)^  (--[a-z-]+)", group)
    assert len(options) >= 14
    for option in options:
        text = group.split(f"  {option} ")[1].split("\n  --")[0]
        assert option in rows, option
        if found := re.search(r"default (?:and most )?(\d\w*|none|unlimited)", text):
            default = found.group(1).replace("unlimited", "none")
            assert re.search(rf"\b{default}\b", rows[option]), (default, rows[option])
