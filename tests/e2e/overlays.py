"""The overlays on which behaviours are shown: a test's pair of agents meets on one of them.

Every test named test_NN_… that uses the `overlay` fixture, as the pairs of agents do, runs on each of
OVERLAYS; the others run on the embedded one. `@pytest.mark.embedded("why")` is for a test that has no
meaning on another: the conformance table says why.
"""

import re

import pytest

from programs import SANITIZED
from ziti_network import eventually

EMBEDDED, OPENZITI = OVERLAYS = ("embedded", "openziti")

# Bytes that an agent keeps of a stream that nobody reads, beyond the embedded overlay's few: the window
# of a circuit.
UNREAD = {EMBEDDED: 0, OPENZITI: 2 * 1024 * 1024}


def parametrise(metafunc):
    """Called by conftest.py for each test."""
    if "overlay" not in metafunc.fixturenames:
        return
    # All of them: a fixture of the session must not be made for a parameter and for none.
    overlays = [pytest.param(EMBEDDED, id=pytest.HIDDEN_PARAM)]
    if re.match(r"test_\d\d_", metafunc.function.__name__):
        only = metafunc.definition.get_closest_marker("embedded")
        why = only.args[0] if only else "takes too long in a sanitizer build" if SANITIZED else None
        marks = [pytest.mark.skip(reason=why)] if why else []
        overlays.append(pytest.param(OPENZITI, id=OPENZITI, marks=marks))
    metafunc.parametrize("overlay", overlays, indirect=True, scope="session")


def embedded_pair(programs):
    """Agent alpha, which is the hub, and agent beta, which joined it."""
    alpha = programs.agent("alpha")
    beta = programs.agent("beta", hub="none")
    beta.join(alpha.invite("beta"))
    return alpha, beta


def ziti_pair(programs, ziti):
    """Agents that meet on an OpenZiti network; what either shares, the other may reach."""
    agents = [programs.agent(f"openziti-{name}", hub="none") for name in ("alpha", "beta")]
    services = Services(ziti)
    pair = tuple(OnZiti(agent, services) for agent in agents)
    for agent in pair:
        agent.ctl("overlay", "add", "ziti", "--identity", agent.identity.path).ok()
    return pair


class Services:
    """The services of a pair, by the names that its tests use; each is made when it is first named."""

    def __init__(self, ziti):
        self.ziti = ziti
        self.identities = []
        self._made = {}

    def __getitem__(self, name):
        if name not in self._made:
            self._made[name] = self.ziti.service(self.identities, self.identities, what=name)
        return self._made[name]


class OnZiti:
    """An agent whose tunnels are on the OpenZiti network; in all else the agent that it is."""

    def __init__(self, agent, services):
        self._agent, self._services = agent, services
        self.identity = services.ziti.identity(agent.name)
        self.name = self.identity.name
        services.identities.append(self.identity)

    def __getattr__(self, name):
        return getattr(self._agent, name)

    def called(self, name):
        return self._services[name].name

    def share(self, target, name, *options):
        """Returns once the service is hosted, by this share and none before it."""
        service = self._services[name]
        eventually(lambda: not self._services.ziti.terminators(service), f"{name} is no longer hosted")
        self._agent.share(target, name, "--overlay", "ziti", "--service", service.name, *options)
        service.hosted()

    def access(self, service, *options):
        name = () if "--name" in options else ("--name", f"{service}-access")
        return self._agent.access(self.called(service), "--overlay", "ziti", *name, *options)
