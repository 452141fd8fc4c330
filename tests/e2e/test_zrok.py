"""The command line on a zrok instance: an environment, shares, accesses, and what stays behind."""

import urllib.request
from pathlib import Path

import pytest

from ziti_network import eventually
from zrok_instance import Instance


@pytest.fixture
def zrok(ziti):
    instance = Instance(ziti)
    yield instance
    instance.close()


@pytest.fixture
def token(zrok, tmp_path):
    path = tmp_path / "account"
    path.write_text(zrok.token + "\n", encoding="ascii")
    return path


@pytest.fixture
def member(programs, zrok, token):
    agent = programs.agent("member", hub="none")
    agent.ctl("overlay", "add", "z", "--zrok", zrok.url, "--token-file", token).ok()
    return agent


def test_an_account_makes_the_agent_an_environment_until_it_is_removed(member, zrok, token):
    (environment,) = zrok.environments.values()
    assert environment.description == "member"
    overlay = member.json("overlay", "get", "z")
    assert overlay["kind"] == "zrok" and overlay["state"] == "LINK_STATE_UP"
    assert overlay["addresses"] == [zrok.url] and overlay["ziti"]["controller"]
    kept = Path(member.json("status")["stateDir"]) / "overlays" / "z.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    member.ctl("overlay", "remove", "z").ok()
    assert not zrok.environments and not kept.exists()
    assert zrok.token not in member.log


def test_a_share_is_public_and_prints_the_url_of_its_frontend(member, zrok, endpoint):
    said = member.ctl("share", endpoint.url, "--overlay", "z", "--name", "shop").ok()
    assert said.out.strip() == "https://shop.share.example"
    (share,) = zrok.shares.values()
    assert share["shareMode"] == "public" and share["name"] == "shop"
    assert member.json("get", "shop")["status"]["urls"] == ["https://shop.share.example"]


def test_a_share_whose_name_nobody_chose_takes_one_of_the_instance(member, zrok, endpoint):
    said = member.ctl("share", endpoint.url, "--overlay", "z").ok()
    (share,) = zrok.shares.values()
    assert not share["name"] and share["shareToken"] in said.out
    assert not zrok.names


def test_a_private_share_is_reached_by_its_token_from_another_environment(programs, member, zrok, endpoint, token):
    said = member.ctl("share", endpoint.url, "--overlay", "z", "--private").ok()
    (share,) = zrok.shares.values()
    assert said.out.strip() == share["shareToken"] and share["shareMode"] == "private"
    other = programs.agent("other", hub="none")
    with token.open(encoding="ascii") as secret:
        other.ctl("overlay", "add", "z", "--zrok", zrok.url, "--token-file", "-", stdin=secret.read()).ok()
    access = other.json("access", share["shareToken"], "--overlay", "z")
    with urllib.request.urlopen(access["status"]["url"], timeout=20) as answer:
        assert b"GET / HTTP/1.1" in answer.read()
    assert len(zrok.accesses) == 1


def test_a_run_that_was_killed_leaves_a_share_that_the_next_one_takes_over(programs, member, zrok, endpoint):
    member.ctl("share", endpoint.url, "--overlay", "z", "--name", "shop", "--private").ok()
    before = set(zrok.shares)
    state = Path(member.json("status")["stateDir"])
    member.kill()
    again = programs.agent("member", hub="none", state=state)
    eventually(lambda: again.tunnel("shop")["status"]["phase"] == "PHASE_ACTIVE", "the share is back")
    assert set(zrok.shares) == before
    again.ctl("delete", "shop").ok()
    eventually(lambda: not zrok.shares, "the share is released")


def test_a_wrong_token_is_said_and_is_in_no_message(programs, zrok):
    agent = programs.agent("newcomer", hub="none")
    wrong = "Wr0ngT0ken"
    said = agent.ctl("overlay", "add", "z", "--zrok", zrok.url, env={"SIMPLON_ZROK_TOKEN": wrong})
    said.failed(1, "account's token", zrok.url)
    assert wrong not in said.err + agent.log
    assert agent.json("overlay", "list").get("overlays", []) == []


def test_an_environment_that_cannot_be_kept_here_is_taken_back(programs, zrok, token):
    agent = programs.agent("newcomer", hub="none")
    in_the_way = Path(agent.json("status")["stateDir"]) / "overlays" / "z.json" / "in the way"
    in_the_way.mkdir(parents=True)
    agent.ctl("overlay", "add", "z", "--zrok", zrok.url, "--token-file", token).failed(1, "z.json")
    eventually(lambda: not zrok.environments, "the environment is taken back")


def test_an_environment_that_a_token_cannot_end_any_more_is_told(member, zrok):
    zrok.token = "Another"
    member.ctl("overlay", "remove", "z").ok()
    eventually(lambda: "the network still knows this agent" in member.log, "it is in the log")
    assert zrok.environments

