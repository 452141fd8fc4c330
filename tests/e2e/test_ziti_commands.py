"""The command line on an OpenZiti network: add it, share, access, look, test without an agent."""

import json
import urllib.request
from pathlib import Path

import pytest

from programs import ctl
from ziti_network import eventually


@pytest.fixture
def member(programs):
    """An agent that is a member of nothing."""
    return programs.agent("member", hub="none")


@pytest.fixture(scope="module")
def host(ziti):
    return ziti.identity("host")


@pytest.fixture(scope="module")
def dialer(ziti):
    return ziti.identity("dialer")


@pytest.fixture(scope="module")
def service(ziti, host, dialer):
    return ziti.service(hosts=[host], dialers=[dialer], what="My Service")


def fetch(url):
    with urllib.request.urlopen(url, timeout=20) as answer:
        return answer.read().decode()


def test_identity_files_take_two_agents_from_a_network_to_a_share_and_an_access(
    programs, member, endpoint, host, dialer, service
):
    assert member.ctl("overlay", "add", "prod", "--identity", host.path).ok().out.strip() == host.name
    share = member.json("share", endpoint.url, "--overlay", "prod", "--service", service.name, "--name", "mine")
    assert share["share"]["service"] == service.name
    other = programs.agent("other", hub="none")
    other.ctl("overlay", "add", "prod", "--identity", dialer.path).ok()
    access = other.json("access", service.name, "--overlay", "prod")
    assert "GET / HTTP/1.1" in fetch(access["status"]["url"])

    overlay = member.json("overlay", "get", "prod")
    assert overlay["kind"] == "ziti" and overlay["state"] == "LINK_STATE_UP"
    assert overlay["identity"] == host.name
    link = overlay["ziti"]
    assert link["controller"].startswith("https://") and link["session"] in ("legacy", "oidc")
    assert link["controllerVersion"] and link["sessionSince"] and link["terminators"] == 1
    assert any(router["up"] for router in link["routers"])
    text = other.ctl("overlay", "get", "prod").ok().out
    for word in ("controller:", "api session:", "circuits:", "ROUTER", "LATENCY"):
        assert word in text
    assert dialer.name in other.ctl("overlay", "list").ok().out


def test_the_membership_outlives_the_agent_and_ends_with_remove(programs, endpoint, host, service, tmp_path):
    state = tmp_path / "state"
    first = programs.agent("first", hub="none", state=state)
    first.ctl("overlay", "add", "prod", "--identity", host.path).ok()
    first.ctl("share", endpoint.url, "--overlay", "prod", "--service", service.name, "--name", "mine").ok()
    first.end()
    again = programs.agent("first", hub="none", state=state)
    again.ctl("status", "--wait", "20s").ok()
    assert again.json("overlay", "list")["overlays"][0]["identity"] == host.name
    again.ctl("overlay", "remove", "prod").failed(1, "1 tunnel uses", "--force")
    again.ctl("overlay", "remove", "prod", "--force").ok()
    assert again.json("overlay", "list").get("overlays", []) == []
    assert not list(state.glob("overlays/*"))
    again.ctl("overlay", "get", "prod").failed(4, "prod")


def test_a_one_time_token_enrolls_here_and_works_once(programs, member, ziti):
    jwt, name, _ = ziti.token("enrolled")
    assert member.ctl("overlay", "add", "prod", "--enroll", jwt).ok().out.strip() == name
    kept = Path(member.json("status")["stateDir"]) / "overlays" / "prod.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    other = programs.agent("other", hub="none")
    other.ctl("overlay", "add", "prod", "--enroll", jwt).failed(1)
    assert other.json("overlay", "list").get("overlays", []) == []
    for secret in (jwt.read_text(encoding="ascii").strip(), "PRIVATE KEY"):
        assert secret not in member.log and secret not in other.log


def test_references_to_files_are_followed_by_the_command_line(member, host, tmp_path):
    identity = json.loads(host.path.read_text(encoding="utf-8"))
    for part in ("key", "cert", "ca"):
        (tmp_path / f"{part}.pem").write_text(identity["id"][part].removeprefix("pem:"), encoding="ascii")
    identity["id"] = {"key": "file:key.pem", "cert": f"file://{tmp_path}/cert.pem", "ca": "ca.pem"}
    (tmp_path / "identity.json").write_text(json.dumps(identity), encoding="utf-8")
    member.ctl("overlay", "add", "prod", "--identity", tmp_path / "identity.json").ok()


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([], "--identity"),
        (["--identity", "/nonexistent.json"], "/nonexistent.json"),
        (["--enroll", "/nonexistent.jwt"], "/nonexistent.jwt"),
        (["--zrok", "https://zrok.example"], "SIMPLON_ZROK_TOKEN"),
        (["--identity", "a", "--enroll", "b"], "one of"),
        (["--identity", "a", "--token-file", "b"], "--zrok"),
    ],
)
def test_what_is_missing_is_usage_and_named(member, arguments, words):
    member.ctl("overlay", "add", "prod", *arguments).failed(2, words)


def test_a_bad_token_is_refused_in_words(member, tmp_path):
    path = tmp_path / "bad.jwt"
    path.write_text("no.token.atall\n", encoding="ascii")
    member.ctl("overlay", "add", "prod", "--enroll", path).failed(2)
    assert member.json("overlay", "list").get("overlays", []) == []


def test_a_controller_that_does_not_answer_is_said_and_the_overlay_stays(member, host, tmp_path):
    identity = json.loads(host.path.read_text(encoding="utf-8"))
    identity["ztAPI"] = "https://127.0.0.1:1/edge/client/v1"
    identity["ztAPIs"] = [identity["ztAPI"]]
    path = tmp_path / "gone.json"
    path.write_text(json.dumps(identity), encoding="utf-8")
    member.ctl("overlay", "add", "prod", "--identity", path).failed(1, "127.0.0.1:1", "overlay get prod")
    assert "advice:" in member.ctl("overlay", "get", "prod").ok().out


def test_the_tools_work_without_an_agent(programs, host, dialer, service):
    programs.tool("test", "endpoint", "--identity", host.path, "--service", service.name)
    answer = ctl("test", "websocket", "--identity", dialer.path, "--service", service.name, "--timeout", "20s").ok()
    assert "i received" in answer.out
    proxy = programs.tool(
        "test", "proxy", "--listen", "127.0.0.1:0", "--identity", dialer.path, "--to-service", service.name
    )
    assert "GET / HTTP/1.1" in fetch(proxy.url)


def test_the_target_learns_which_identity_dialed_and_nobody_can_pretend(programs, member, endpoint, ziti):
    host, dialer = ziti.identity("host"), ziti.identity("dialer")
    service = ziti.service(hosts=[host], dialers=[dialer])
    member.ctl("overlay", "add", "prod", "--identity", host.path).ok()
    # The service's name is a DNS label here: the tunnel's is enough.
    member.ctl("share", endpoint.url, "--overlay", "prod", "--name", service.name, "--peer-header", "X-Who").ok()
    other = programs.agent("other", hub="none")
    other.ctl("overlay", "add", "prod", "--identity", dialer.path).ok()
    access = other.json("access", service.name, "--overlay", "prod")
    request = urllib.request.Request(access["status"]["url"], headers={"X-Who": "somebody"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        seen = answer.read().decode().lower()
    assert "somebody" not in seen
    if ziti.version.startswith("v1."):
        assert "x-who" not in seen  # routers of that age do not tell
    else:
        assert f"x-who: {dialer.name}" in seen


def terminators(ziti, service):
    """What the network knows of those who host it: cost and precedence."""
    found = ziti.admin.list("terminators", f'service="{service.id}"')
    return [(each["cost"], each["precedence"]) for each in found if each["serviceId"] == service.id]


def test_cost_and_precedence_of_a_share_are_the_terminators(member, endpoint, host, ziti):
    service = ziti.service(hosts=[host])
    member.ctl("overlay", "add", "prod", "--identity", host.path).ok()
    rank = ("--ziti-cost", "300", "--ziti-precedence", "required")
    shared = member.json("share", endpoint.url, "--overlay", "prod", "--service", service.name, "--name", "mine", *rank)
    assert shared["share"]["ziti"] == {"cost": 300, "precedence": "PRECEDENCE_REQUIRED"}
    assert terminators(ziti, service) == [(300, "required")]
    text = member.ctl("get", "mine").ok().out
    assert "cost:" in text and "300" in text and "required" in text


def test_cost_and_precedence_are_refused_where_a_service_has_one_host(programs):
    agent = programs.agent("hub")
    refused = agent.ctl("share", "3000", "--name", "mine", "--ziti-cost", "1")
    refused.failed(2, "share.ziti", "embedded", "leave them out", "--ziti-cost")
    agent.ctl("share", "3000", "--name", "mine", "--ziti-cost", "65536").failed(2, "--ziti-cost", "65535")
    agent.ctl("share", "3000", "--name", "mine", "--ziti-precedence", "high").failed(2, "required")


def test_a_share_whose_target_is_down_is_the_last_choice_until_it_is_back(member, programs, host, ziti):
    service = ziti.service(hosts=[host])
    member.ctl("overlay", "add", "prod", "--identity", host.path).ok()
    first = programs.tool("test", "endpoint", "--listen", "127.0.0.1:0")
    port = first.address.rsplit(":", 1)[1]
    member.json("share", port, "--overlay", "prod", "--service", service.name, "--name", "mine", "--ziti-cost", "5")
    assert terminators(ziti, service) == [(5, "default")]
    first.end()
    eventually(lambda: terminators(ziti, service) == [(5, "failed")], "the target is gone")
    programs.tool("test", "endpoint", "--listen", f"127.0.0.1:{port}")
    eventually(lambda: terminators(ziti, service) == [(5, "default")], "the target is back")


def checked(run):
    return {each["hop"]: each for each in json.loads(run.out)["results"]}


def test_doctor_tries_an_overlay_a_share_and_an_access(programs, member, endpoint, ziti):
    host, dialer = ziti.identity("host"), ziti.identity("dialer")
    service = ziti.service(hosts=[host], dialers=[dialer])
    member.ctl("overlay", "add", "prod", "--identity", host.path).ok()
    member.ctl("share", endpoint.url, "--overlay", "prod", "--service", service.name, "--name", "mine").ok()
    found = checked(member.ctl("-o", "json", "doctor", "prod").ok())
    routers = [hop for hop in found if hop.startswith("router ")]
    assert list(found) == ["identity", "controller", "controller API", "login", "services", *routers,
                           f'service "{service.name}"']
    assert routers and all("Hello in" in found[each]["message"] for each in routers if "latencyMicroseconds" in found[each])
    assert "1 to host" in found["services"]["message"] and ziti.version in found["controller API"]["message"]
    # The host's identity may not dial: that is where its own check ends, and no fault.
    assert list(checked(member.ctl("-o", "json", "doctor", "mine").ok()))[-1] == "registration"
    other = programs.agent("other", hub="none")
    other.ctl("overlay", "add", "prod", "--identity", dialer.path).ok()
    access = other.json("access", service.name, "--overlay", "prod")["name"]
    found = checked(other.ctl("-o", "json", "doctor", access, "--websocket", "--path", "/echo").ok())
    assert list(found) == ["listener", "overlay link", "far end", "whole path", "websocket"]
    member.ctl("delete", "mine", "--drain", "0s").ok()
    broken = other.ctl("doctor", access).failed(1, "broken at: far end")
    assert "nobody hosts this service now" in broken.out and "start its host" in broken.out


def test_doctor_names_the_controller_that_is_gone(member, host, tmp_path):
    identity = json.loads(host.path.read_text(encoding="utf-8"))
    identity["ztAPI"] = "https://127.0.0.1:1/edge/client/v1"
    identity["ztAPIs"] = [identity["ztAPI"]]
    path = tmp_path / "gone.json"
    path.write_text(json.dumps(identity), encoding="utf-8")
    member.ctl("overlay", "add", "prod", "--identity", path).failed(1)
    broken = member.ctl("doctor", "prod").failed(1, "broken at: controller", "is the controller running")
    assert "127.0.0.1:1: connection refused" in broken.out.lower()


def test_the_list_of_overlays_shows_session_routers_terminators_and_circuits(member, endpoint, host, service):
    member.ctl("overlay", "add", "prod", "--identity", host.path).ok()
    member.ctl("share", endpoint.url, "--overlay", "prod", "--service", service.name, "--name", "mine").ok()
    heading, line = member.ctl("overlay", "list").ok().out.splitlines()
    for word in ("SESSION", "ROUTERS", "TERMINATORS", "CIRCUITS"):
        assert word in heading
    assert host.name in line and ("legacy " in line or "oidc " in line) and "up" in line


def test_what_the_network_refuses_is_said_with_advice(ziti, host, dialer, service):
    def reach(name):
        return ctl("test", "websocket", "--identity", dialer.path, "--service", name, "--timeout", "20s")

    reach("not there").failed(1, "not there", "policy")
    reach(ziti.service(hosts=[host], dialers=[dialer]).name).failed(1, "nobody hosts this service now", "start its host")
    reach(ziti.service(hosts=[host]).name).failed(1, "policy")
    tool = ctl("test", "endpoint", "--identity", dialer.path, "--service", service.name)
    tool.failed(1, service.name, "policy")
