"""Many connections over an OpenZiti network leave no circuit and no terminator behind."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from programs import SANITIZED
from ziti_echo import Echo, connect
from ziti_ends import Agents, EdgeDialer

AT_ONCE = 50 if SANITIZED else 200
IN_SEQUENCE = 200 if SANITIZED else 1000


@pytest.fixture(scope="module")
def path(ziti, ziti_agents):
    echo = Echo()
    service = ziti.service([ziti_agents.host], [ziti_agents.client])
    ziti_agents.share(service, f"tcp://{echo.address}")
    address = ziti_agents.access(service, "--tcp")
    service.hosted()
    yield address, service
    ziti_agents.delete(service)
    service.hosted(0)
    echo.close()


def exchange(address, number):
    with connect(address, 60) as client:
        sent = b"%08d" % number
        client.sendall(sent)
        assert client.recv(8) == sent


def test_a_thousand_one_after_the_other(path):
    address, service = path
    for number in range(IN_SEQUENCE):
        exchange(address, number)
    service.idle()
    service.hosted(1)


def test_two_hundred_at_once(path, ziti):
    address, service = path
    together = threading.Barrier(AT_ONCE + 1)
    leave = threading.Event()

    def one(number):
        with connect(address, 60) as client:
            sent = b"%08d" % number
            client.sendall(sent)
            assert client.recv(8) == sent
            together.wait(120)
            assert leave.wait(120)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        calls = [pool.submit(one, number) for number in range(AT_ONCE)]
        together.wait(120)
        assert len(ziti.circuits(service)) == AT_ONCE
        leave.set()
        for call in calls:
            call.result()
    service.idle()
    service.hosted(1)


def test_a_foreign_dialer_has_its_many_too(ziti, ziti_agents, edge_loop):
    echo = Echo()
    client = ziti.identity("edge")
    service = ziti.service([ziti_agents.host], [client])
    ziti_agents.share(service, f"tcp://{echo.address}")
    service.hosted()
    dialer = EdgeDialer(edge_loop, client, service)
    streams = [dialing.result() for dialing in [dialer.start() for _ in range(AT_ONCE)]]
    for number, stream in enumerate(streams):
        stream.send(b"%08d" % number)
    for number, stream in enumerate(streams):
        assert stream.read(8) == b"%08d" % number
        stream.close()
    service.idle()
    dialer.close()
    ziti_agents.delete(service)
    service.hosted(0)
    echo.close()


def test_a_killed_host_leaves_no_terminator(ziti, programs):
    echo = Echo()
    agents = Agents(programs, ziti)
    service = ziti.service([agents.host], [agents.client])
    agents.share(service, f"tcp://{echo.address}")
    address = agents.access(service, "--tcp")
    service.hosted()
    exchange(address, 1)
    agents.beta.kill()
    service.hosted(0)
    service.idle()
    echo.close()
