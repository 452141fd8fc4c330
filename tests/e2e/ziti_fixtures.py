"""Fixtures of the tests on an OpenZiti network; conftest.py takes them in."""

import pytest

from ziti_edge import Loop
from ziti_ends import Agents
from ziti_network import Network, StandIn


@pytest.fixture(scope="session")
def ziti(standing, tmp_path_factory):
    """The network of a run: a real one, if the environment names it, else the stand-in."""
    network = Network.at(tmp_path_factory.mktemp("ziti"), standing)
    yield network
    network.remove()


@pytest.fixture
def standin(programs, tmp_path):
    """Starts stand-ins of a test's own, with arguments; the network, whatever the environment says."""

    def start(*arguments):
        folder = tmp_path / f"standin-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        return StandIn(folder, programs, *arguments)

    return start


@pytest.fixture(scope="session")
def edge_loop():
    """Where edge_client.py runs."""
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture(scope="session")
def ziti_agents(ziti, standing):
    """Two agents on the network, alpha to dial and beta to host."""
    return Agents(standing, ziti)
