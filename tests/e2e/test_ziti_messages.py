"""The commands of a user on an OpenZiti network, and what they say when something is amiss."""

import asyncio
import stat

import pytest

from programs import ctl
from ziti_edge import Peer
from ziti_network import eventually


@pytest.fixture
def lone(programs):
    """An agent without any overlay."""
    return programs.agent("lone", hub="none")


@pytest.fixture
def service(ziti):
    """A service with an identity to host and one to dial it."""
    host, client = ziti.identity("host"), ziti.identity("client")
    made = ziti.service([host], [client])
    made.host, made.client = host, client
    return made


def overlay(agent, name="prod"):
    return agent.json("overlay", "get", name)


def up(agent, name="prod"):
    return eventually(lambda: overlay(agent, name).get("state") == "LINK_STATE_UP", "the overlay is up")


def test_the_seed_works_on_openziti(programs, service):
    endpoint = programs.tool("test", "endpoint", "--identity", service.host.path, "--service", service.name)
    answer = ctl("test", "websocket", "--identity", service.client.path, "--service", service.name)
    answer.ok()
    assert endpoint.end() == 0
    service.hosted(0)
    service.idle()


def test_an_identity_file_makes_an_agent_a_member(lone, ziti, service):
    lone.ctl("overlay", "add", "prod", "--identity", service.host.path).ok()
    up(lone)
    lone.ctl("share", "http://127.0.0.1:9", "--overlay", "prod", "--service", service.name, "--name", "s").ok()
    service.hosted()
    said = overlay(lone)
    assert said["kind"] == "ziti"
    link = said["ziti"]
    assert link["controller"].startswith(ziti.url)
    assert link["controllerVersion"] == ziti.version
    assert link["terminators"] == 1
    assert link["routers"][0]["up"]
    table = lone.ctl("overlay", "get", "prod").ok().out
    for word in ("router", "terminators", "api session", "latency"):
        assert word in table.lower(), table
    assert "prod" in lone.ctl("overlay", "list").ok().out
    lone.ctl("overlay", "remove", "prod", "--force").ok()
    service.hosted(0)
    assert not list(lone.state.glob("overlays/prod*"))


def test_a_one_time_token_makes_an_agent_a_member(lone, ziti):
    jwt, name, _ = ziti.token("enrolled")
    lone.ctl("overlay", "add", "prod", "--enroll", jwt).ok()
    up(lone)
    eventually(lambda: overlay(lone).get("identity") == name, "the network told the name")
    for file in lone.state.glob("overlays/prod*"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = lone.ctl("overlay", "add", "other", "--enroll", jwt)
    again.failed(again.code, "used already")
    assert again.code != 0


def test_a_membership_outlives_the_agent(programs, service, tmp_path):
    agent = programs.agent("lone", hub="none")
    agent.ctl("overlay", "add", "prod", "--identity", service.host.path).ok()
    agent.ctl("share", "http://127.0.0.1:9", "--overlay", "prod", "--service", service.name, "--name", "s").ok()
    service.hosted()
    agent.kill()
    service.hosted(0)
    again = programs.agent("lone", hub="none")
    up(again)
    service.hosted()


def test_http_goes_through_access_and_share(ziti, ziti_agents, recorder):
    service = ziti.service([ziti_agents.host], [ziti_agents.client])
    recorder.begin()
    ziti_agents.share(service, recorder.url)
    address = ziti_agents.access(service)
    service.hosted()
    answer = ctl("test", "websocket", f"http://{address}/")
    assert answer.code != 0  # the recorder speaks no websocket, but it was asked
    assert recorder.wait(1)
    recorder.finish()
    ziti_agents.delete(service)
    service.idle()


def dial(service, identity=None):
    identity = identity or service.client
    return ctl("test", "websocket", "--identity", identity.path, "--service", getattr(service, "name", service))


def test_a_service_that_is_not_there_is_named(service):
    answer = dial("no-such-service", service.client)
    answer.failed(answer.code, "no-such-service", "no such service")
    assert answer.code


def test_a_service_nobody_hosts_is_told_apart(service):
    answer = dial(service)
    answer.failed(answer.code, service.name, "nobody hosts this service now")
    assert answer.code


def test_a_host_that_may_not_host_is_told_so(service):
    answer = ctl("test", "endpoint", "--identity", service.client.path, "--service", service.name)
    answer.failed(answer.code, service.name, "policy")
    assert answer.code


def test_what_a_foreign_host_says_is_passed_on(service, edge_loop):
    host = Peer(edge_loop, service.host)
    listener = host.bind(service)
    service.hosted()

    async def refuse():
        while True:
            await (await listener.listener.accept()).reject("come back on monday")

    task = asyncio.run_coroutine_threadsafe(refuse(), edge_loop.loop)
    answer = dial(service)
    task.cancel()
    host.close()
    answer.failed(answer.code, "refused", "come back on monday")
    assert answer.code
