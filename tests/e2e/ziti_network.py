"""An OpenZiti network for the tests: a real one that the environment names, else the stand-in.

    SIMPLON_ZITI_CONTROLLER   https://host:port of a controller
    SIMPLON_ZITI_USER, SIMPLON_ZITI_PASSWORD   its admin's login
    SIMPLON_ZITI_CA           file with its CA certificates
    SIMPLON_ZITI_RESTART      optional: a command that restarts what its argument says, router or controller
    SIMPLON_ZITI_STANDIN      for a stand-in: its arguments, as in "--like 1.6"

Everything a test needs is made over the management API, and removed afterwards.
"""

import http.client
import itertools
import json
import os
import secrets
import ssl
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote, urlsplit

SUPPORT = Path(__file__).resolve().parents[1] / "support" / "ziti"
sys.path.insert(0, str(SUPPORT))

import edge_rest  # noqa: E402

MANAGEMENT = "/edge/management/v1"
FABRIC = "/fabric/v1"
SETTLES = 30


def eventually(what, said, seconds=SETTLES):
    """The first true value of what(); asks again until then."""
    until = time.monotonic() + seconds
    poll = iter(lambda: what(), object())
    for value in poll:
        if value:
            return value
        assert time.monotonic() < until, f"not in {seconds} s: {said}"
        os.sched_yield()
    return None


class NotThere(Exception):
    """An error answer of the management API."""


class Management:
    """The admin's view, over the edge management and fabric APIs."""

    def __init__(self, url, user, password, ca):
        self._url = urlsplit(url)
        self._tls = ssl.create_default_context(cafile=ca)
        self._tls.set_alpn_protocols(["http/1.1"])
        self._login = {"username": user, "password": password}
        self._token = None

    def call(self, method, path, body=None):
        if self._token is None and not path.startswith("/faults"):
            self._token = ""
            self._token = self.call("POST", f"{MANAGEMENT}/authenticate?method=password", self._login)["token"]
        connection = http.client.HTTPSConnection(self._url.hostname, self._url.port, context=self._tls, timeout=30)
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        headers |= {"zt-session": self._token} if self._token else {}
        until = time.monotonic() + SETTLES
        while True:  # a controller that restarts is back soon
            try:
                connection.connect()
                break
            except OSError:
                if time.monotonic() > until:
                    raise
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            document = json.loads(answer.read() or b"{}")
        finally:
            connection.close()
        if answer.status >= 400:
            raise NotThere(f"{method} {path}: {answer.status} {document}")
        return document.get("data")

    def create(self, kind, **fields):
        return self.call("POST", f"{MANAGEMENT}/{kind}", fields)["id"]

    def delete(self, kind, entity):
        self.call("DELETE", f"{MANAGEMENT}/{kind}/{entity}")

    def get(self, kind, entity):
        return self.call("GET", f"{MANAGEMENT}/{kind}/{entity}")

    def list(self, kind, query="true", prefix=MANAGEMENT):
        return self.call("GET", f"{prefix}/{kind}?limit=500&filter={quote(query)}")


class Network:
    """Makes identities, services and policies; `remove` takes them away again."""

    standin = None

    def __init__(self, folder, url, user, password, ca, restart=None):
        self.folder = Path(folder)
        self.url, self.ca = url, ca
        self.admin = Management(url, user, password, ca)
        self._restart = restart
        self._made = []
        self._numbers = itertools.count(1)
        self._mark = secrets.token_hex(3)

    @classmethod
    def at(cls, folder, programs, *standin_arguments):
        """The network of the environment, or a stand-in that `programs` runs."""
        url = os.environ.get("SIMPLON_ZITI_CONTROLLER")
        if url and not standin_arguments:
            names = ("SIMPLON_ZITI_USER", "SIMPLON_ZITI_PASSWORD", "SIMPLON_ZITI_CA")
            made = cls(folder, url, *(os.environ[name] for name in names), os.environ.get("SIMPLON_ZITI_RESTART"))
            eventually(lambda: any(r["isOnline"] for r in made.admin.list("edge-routers")), "an edge router is online")
            return made
        return StandIn(folder, programs, *(standin_arguments or os.environ.get("SIMPLON_ZITI_STANDIN", "").split()))

    @property
    def version(self):
        return self.admin.call("GET", "/edge/client/v1/version")["version"]

    def name(self, what):
        """A name nobody else on the network has."""
        return f"simplon-{self._mark}-{what}-{next(self._numbers)}"

    def _create(self, kind, **fields):
        entity = self.admin.create(kind, **fields)
        self._made.append((kind, entity))
        return entity

    def token(self, what="identity"):
        """The file of a one-time enrollment token, the identity's name and its id."""
        name = self.name(what)
        entity = self._create("identities", name=name, type="Default", isAdmin=False, enrollment={"ott": True},
                              roleAttributes=[])
        path = self.folder / f"{name}.jwt"
        path.write_text(self.admin.get("identities", entity)["enrollment"]["ott"]["jwt"], encoding="ascii")
        return path, name, entity

    def identity(self, what="identity"):
        """An enrolled identity: its file, name and id."""
        jwt, name, entity = self.token(what)
        path = self.folder / f"{name}.json"
        edge_rest.enroll(jwt.read_text(encoding="ascii"), str(path))
        return Identity(path, name, entity)

    def service(self, hosts=(), dialers=(), encrypted=True, what="service", named=None):
        """A service that those identities may host and dial; `named` instead of a name of the test's own."""
        name = named or self.name(what)
        entity = self._create("services", name=name, encryptionRequired=encrypted)
        service = Service(self, name, entity)
        for kind, identities in (("Bind", hosts), ("Dial", dialers)):
            if identities:
                service.policies[kind] = self.allow(kind, service, identities)
        return service

    def allow(self, kind, service, identities):
        """A policy by which they may host ("Bind") or dial ("Dial") the service; its id."""
        return self._create(
            "service-policies", name=self.name(kind), type=kind, semantic="AnyOf",
            serviceRoles=[f"@{service.id}"], identityRoles=[f"@{identity.id}" for identity in identities],
        )

    def delete_service(self, service):
        for kind in list(service.policies):
            service.revoke(kind)
        self.delete("services", service.id)

    def delete(self, kind, entity):
        self._made.remove((kind, entity))
        self.admin.delete(kind, entity)

    def remove(self):
        for kind, entity in reversed(self._made):
            self.admin.delete(kind, entity)
        self._made.clear()

    # What is up ------------------------------------------------------------------------------

    def terminators(self, service):
        return self.admin.list("terminators", f'service="{service.id}"')

    def circuits(self, service):
        found = self.admin.list("circuits", prefix=FABRIC) or []
        return [circuit for circuit in found if circuit["service"]["id"] == service.id]

    def api_sessions(self, identity):
        return self.admin.list("api-sessions", f'identity="{identity.id}"')

    def sessions(self, service):
        return self.admin.list("sessions", f'service="{service.id}"')

    # What goes wrong -------------------------------------------------------------------------

    @property
    def can_restart(self):
        return bool(self._restart)

    def restart(self, what, seconds=0):
        """Restarts the router or the controller, which is away for about that time on the stand-in."""
        subprocess.run([self._restart, what], check=True, timeout=60)

    def expire(self, identity):
        """Ends the API sessions of an identity."""
        for session in self.api_sessions(identity):
            self.admin.delete("api-sessions", session["id"])


class Identity:
    def __init__(self, path, name, entity):
        self.path, self.name, self.id = path, name, entity


class Service:
    def __init__(self, network, name, entity):
        self._network, self.name, self.id, self.policies = network, name, entity, {}

    def revoke(self, kind):
        """Nobody may dial, or host, it any longer."""
        self._network.delete("service-policies", self.policies.pop(kind))

    def hosted(self, count=1):
        """Waits until that many terminators exist."""
        said = f"{count} terminators of {self.name}"
        eventually(lambda: len(self._network.terminators(self)) == count, said)

    def idle(self):
        """Waits until no circuit is left."""
        eventually(lambda: not self._network.circuits(self), f"no circuit of {self.name} is left")


class StandIn(Network):
    """The project's own stand-in, tests/support/ziti."""

    def __init__(self, folder, programs, *arguments):
        command = (sys.executable, "-B", SUPPORT, "--folder", folder, *arguments)
        self.standin = programs.program(*command, title="ziti stand-in")
        ready = json.loads(self.standin.wait_line(r"^ready (.*)$").group(1))
        self.controllers, self.routers = ready["controllers"], ready["routers"]
        super().__init__(folder, self.controllers[0], ready["user"], ready["password"], ready["ca"])

    @property
    def can_restart(self):
        return True

    def fault(self, name, **details):
        self.admin.call("POST", "/faults", {"fault": name, **details})

    def restart(self, what, seconds=0):
        self.fault(f"restart_{what}", seconds=seconds)
