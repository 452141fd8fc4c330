"""An OpenZiti network that breaks: our agents carry on by themselves."""

import time

import pytest

from ziti_echo import Echo, connect, echoes, echoes_again
from ziti_ends import Agents
from ziti_network import eventually


@pytest.fixture(scope="module")
def echo():
    server = Echo()
    yield server
    server.close()


@pytest.fixture(scope="module")
def shared(ziti, ziti_agents, echo):
    """A service that beta hosts: its access's address on alpha, and the service."""
    service = ziti.service([ziti_agents.host], [ziti_agents.client])
    ziti_agents.share(service, f"tcp://{echo.address}")
    address = ziti_agents.access(service, "--tcp")
    service.hosted()
    echoes_again(address, "the path works")
    yield address, service
    ziti_agents.delete(service)


@pytest.fixture
def path(shared):
    """As it was before, once the test is over."""
    address, service = shared
    echoes_again(address, "the path works again")
    yield shared
    echoes_again(address, "the path works again")
    service.hosted()


def restart(ziti, what, seconds=0):
    if not ziti.can_restart:
        pytest.skip("nothing here can restart this network")
    ziti.restart(what, seconds)


def test_after_a_restart_of_the_router_all_goes_on(ziti, path):
    address, service = path
    with connect(address, 30) as old:
        old.sendall(b"ping")
        assert old.recv(4) == b"ping"
        restart(ziti, "router", 1)
        old.settimeout(30)
        with pytest.raises(ConnectionResetError):
            while old.recv(100):
                pass
            raise ConnectionResetError  # the end, in order, is as good: the router said nothing
    began = time.monotonic()
    echoes_again(address, "new connections work")
    assert time.monotonic() - began < 25
    service.hosted()


def test_connections_live_through_a_restart_of_the_controller(ziti, path):
    address, _ = path
    with connect(address, 30) as old:
        old.sendall(b"ping")
        assert old.recv(4) == b"ping"
        restart(ziti, "controller", 1)
        old.sendall(b"pong")
        assert old.recv(4) == b"pong"
        echoes_again(address, "new connections work")
        old.sendall(b"ping")
        assert old.recv(4) == b"ping"


@pytest.mark.parametrize("who", ("client", "host"))
def test_an_expired_login_is_made_anew(ziti, ziti_agents, path, who):
    address, service = path
    identity = getattr(ziti_agents, who)
    before = {session["id"] for session in ziti.api_sessions(identity)}
    assert before
    ziti.expire(identity)
    eventually(lambda: {s["id"] for s in ziti.api_sessions(identity)} - before, "it logged in again")
    echoes_again(address, "new connections work")
    service.hosted()


def test_a_router_that_takes_no_login_is_no_reason_to_log_in_again(standin, programs, echo):
    network = standin()
    agents = Agents(programs, network)
    service = network.service([agents.host], [agents.client])
    agents.share(service, f"tcp://{echo.address}")
    address = agents.access(service, "--tcp")
    echoes_again(address, "the path works")
    logins = {session["id"] for who in (agents.client, agents.host) for session in network.api_sessions(who)}
    network.fault("refuse_logins")
    network.restart("router")
    eventually(lambda: not echoes(address), "nothing passes")
    eventually(lambda: "which the controller says is good" in agents.beta.log, "the host says why")
    network.fault("refuse_logins", on=False)
    echoes_again(address, "all goes on")
    assert {s["id"] for who in (agents.client, agents.host) for s in network.api_sessions(who)} == logins


@pytest.mark.parametrize("kind", ("Dial", "Bind"))
def test_a_deleted_service_session_is_made_anew(ziti, path, kind):
    address, service = path
    for session in ziti.sessions(service):
        if session["type"] == kind:
            ziti.admin.delete("sessions", session["id"])
    echoes_again(address, "new connections work")
    service.hosted()


def test_a_right_that_comes_back_is_used_again(ziti, ziti_agents, path):
    address, service = path
    service.revoke("Bind")
    service.hosted(0)
    assert not echoes(address)
    service.policies["Bind"] = ziti.allow("Bind", service, [ziti_agents.host])
    service.hosted()
    echoes_again(address, "new connections work")
