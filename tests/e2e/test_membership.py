"""Invitations, joining, identities: the ways they are used and misused."""

import json

import pytest

from programs import ctl


@pytest.fixture
def newcomer(programs):
    return programs.agent("newcomer", hub="none")


def test_a_token_joins_once(programs, agent, newcomer):
    token = agent.invite("beta")
    newcomer.join(token)
    overlays = newcomer.json("status")["overlays"]
    assert overlays[0]["identity"] == "beta"
    other = programs.agent("other", hub="none")
    other.ctl("join", "-", stdin=token).failed(1, "used")


def test_a_token_comes_from_a_file_or_the_environment(programs, agent, tmp_path):
    path = tmp_path / "token"
    path.write_text(agent.invite("one") + "\n")
    one = programs.agent("one", hub="none")
    one.ctl("join", "--token-file", path).ok()
    two = programs.agent("two", hub="none")
    two.ctl("join", env={"SIMPLON_JOIN_TOKEN": agent.invite("two")}).ok()


@pytest.mark.parametrize("token", ["", "nonsense", "simplon-join-1.AAAA", "simplon-join-1." + "A" * 5000])
def test_a_malformed_token_is_one_clear_line_and_changes_nothing(newcomer, token):
    answer = newcomer.ctl("join", "-", stdin=token)
    assert answer.code in (1, 2)
    assert len(answer.err.strip().splitlines()) <= 2
    assert "token" in answer.err
    assert newcomer.json("status").get("overlays", []) == []


def test_a_token_of_a_hub_that_is_gone_names_the_address(programs, newcomer):
    hub = programs.agent("hub")
    token, address = hub.invite("beta"), hub.hub_address()
    hub.end()
    newcomer.ctl("join", "-", stdin=token).failed(1, address)


def test_a_loopback_hub_says_that_its_token_works_here_only(agent):
    answer = agent.ctl("hub", "invite", "beta").ok()
    for word in ("this host", "--hub-listen", "--hub-advertise"):
        assert word in answer.err


def test_an_agent_that_hosts_tunnels_refuses_to_join_and_says_how_to_go_on(programs, agent, endpoint):
    busy = programs.agent("busy")
    busy.share(endpoint.url, "mine")
    token = agent.invite("beta")
    busy.ctl("join", "-", stdin=token).failed(1, "--overlay", "--replace")
    busy.ctl("join", "-", "--overlay", "second", stdin=token).ok()
    names = sorted(overlay["name"] for overlay in busy.json("status")["overlays"])
    assert names == ["default", "second"]
    assert busy.tunnels() == ["mine"]


def test_a_name_is_invited_once_it_is_a_member(agent, newcomer):
    newcomer.join(agent.invite("beta"))
    agent.ctl("hub", "invite", "beta").failed(1, "beta")


def test_an_identity_file_is_not_overwritten(agent, tmp_path):
    path = tmp_path / "id.json"
    agent.ctl("identity", "create", "one", "--out", path).ok()
    before = path.read_text()
    agent.ctl("identity", "create", "two", "--out", path).failed(1, str(path))
    assert path.read_text() == before


@pytest.mark.parametrize("content", ["", "{}", "not json", '{"kind":"simplon-identity","version":1}'])
def test_a_broken_identity_file_is_one_clear_line(tmp_path, content):
    path = tmp_path / "id.json"
    path.write_text(content)
    path.chmod(0o600)
    answer = ctl("test", "websocket", "--identity", path, "--service", "x")
    assert answer.code in (1, 2)
    assert str(path) in answer.err
    assert len(answer.err.strip().splitlines()) <= 2


def test_a_ziti_identity_is_recognised(tmp_path):
    path = tmp_path / "ziti.json"
    path.write_text(json.dumps({"ztAPI": "https://localhost:1280", "id": {"cert": "pem:x", "key": "pem:y"}}))
    answer = ctl("test", "websocket", "--identity", path, "--service", "x")
    assert answer.code in (1, 2)
    assert "OpenZiti" in answer.err


def test_a_service_name_belongs_to_the_first_who_hosted_it(programs, pair, endpoint):
    alpha, beta = pair
    beta.share(endpoint.url, "demo")
    answer = alpha.ctl("share", endpoint.url, "--name", "demo")
    answer.failed(1, "demo")
