"""What controller and routers know of the network, with the rules of who may do what."""

import datetime
import itertools
import re
import secrets
import string
import time
import uuid
from dataclasses import dataclass, field

ALPHABET = string.ascii_letters + string.digits


def new_id():
    return "".join(secrets.choice(ALPHABET) for _ in range(11))


def new_token():
    return str(uuid.uuid4())


def timestamp(at=None):
    moment = datetime.datetime.fromtimestamp(time.time() if at is None else at, datetime.timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Entity:
    name: str
    id: str = field(default_factory=new_id)
    created: float = field(default_factory=time.time)
    roles: list = field(default_factory=list)

    def named_by(self, role):
        return role in ("#all", f"@{self.id}", f"@{self.name}") or role.removeprefix("#") in self.roles


@dataclass
class Identity(Entity):
    admin: bool = False
    enrollment: dict | None = None  # token, expires, jwt
    fingerprints: set = field(default_factory=set)
    disabled: bool = False


@dataclass
class Service(Entity):
    encrypted: bool = True
    configs: dict = field(default_factory=dict)
    max_idle: int = 0


@dataclass
class Policy(Entity):
    kind: str = "Dial"
    semantic: str = "AnyOf"
    service_roles: list = field(default_factory=list)
    identity_roles: list = field(default_factory=list)

    def _match(self, entity, roles):
        wanted = [role for role in roles if role.startswith("@")]
        shared = [role for role in roles if role.startswith("#")]
        if any(entity.named_by(role) for role in wanted):
            return True
        if not shared:
            return False
        return (all if self.semantic == "AllOf" else any)(entity.named_by(role) for role in shared)

    def covers(self, identity, service):
        return self._match(identity, self.identity_roles) and self._match(service, self.service_roles)


@dataclass
class ApiSession:
    identity: Identity
    fingerprint: str
    expires: float
    oidc: bool = False
    id: str = field(default_factory=new_id)
    token: str = field(default_factory=new_token)
    created: float = field(default_factory=time.time)
    config_types: list = field(default_factory=list)
    chain: bool = True  # the client sent its intermediates too


@dataclass
class Session:
    api_session: ApiSession
    service: Service
    kind: str
    token: str = ""
    id: str = field(default_factory=new_id)
    created: float = field(default_factory=time.time)


@dataclass
class Terminator:
    service: Service
    session: Session
    router: object
    channel: object
    conn: int
    instance: str = ""
    listener: bytes = b""
    cost: int = 0
    precedence: int = 0
    key: bytes = b""
    router_conn: bool = False
    token: bytes = b""
    healthy: bool = True  # as the last health event said: counted by controllers, no more
    id: str = field(default_factory=new_id)
    circuits: int = 0

    @property
    def rank(self):
        """Lower is chosen first: required, default, failed; then by cost and circuits."""
        order = {1: 0, 0: 1, 2: 2}[self.precedence]
        return order, self.cost + self.circuits, self.id


class Network:
    def __init__(self, session_seconds=1800):
        self.identities, self.services, self.policies = {}, {}, {}
        self.api_sessions, self.sessions, self.terminators, self.circuits = {}, {}, {}, {}
        self.routers = []
        self.session_seconds = session_seconds
        self.changed = time.time()
        self.request_ids = itertools.count(1)

    def touch(self):
        self.changed = time.time()

    # Permissions -----------------------------------------------------------------------------

    def permissions(self, identity, service):
        kinds = [p.kind for p in self.policies.values() if p.covers(identity, service)]
        return [kind for kind in ("Dial", "Bind") if kind in kinds or identity.admin]

    def visible(self, identity):
        return [service for service in self.services.values() if self.permissions(identity, service)]

    # Sessions --------------------------------------------------------------------------------

    def api_session(self, token):
        session = self.api_sessions.get(token)
        if session is not None and session.expires < time.time():
            self.end_api_session(session)
            return None
        return session

    def start_api_session(self, identity, fingerprint, **options):
        session = ApiSession(identity, fingerprint, time.time() + self.session_seconds, **options)
        self.api_sessions[session.token] = session
        return session

    def end_api_session(self, session):
        if self.api_sessions.pop(session.token, None) is None:
            return
        for router in self.routers:
            router.drop_api_session(session)
        for child in [s for s in self.sessions.values() if s.api_session is session]:
            self.end_session(child)

    def session(self, session_id):
        return self.sessions.get(session_id)

    def end_session(self, session):
        if self.sessions.pop(session.id, None) is not None:
            for router in self.routers:
                router.drop_session(session)

    def enforce(self):
        """After a policy, service or identity changed: what is no longer allowed ends."""
        self.touch()
        for session in list(self.sessions.values()):
            known = session.service.id in self.services and session.api_session.identity.id in self.identities
            if not known or session.kind not in self.permissions(session.api_session.identity, session.service):
                self.end_session(session)

    def remove_identity(self, identity):
        self.identities.pop(identity.id, None)
        for session in [s for s in self.api_sessions.values() if s.identity is identity]:
            self.end_api_session(session)
        self.enforce()

    # Terminators -----------------------------------------------------------------------------

    def candidates(self, service, instance):
        found = [t for t in self.terminators.values() if t.service is service and t.instance == instance]
        return sorted(found, key=lambda terminator: terminator.rank)


TERM = re.compile(r'^([\w.]+)\s*(=|!=|contains)\s*(?:"([^"]*)"|(\w+))$')
NESTED = {"service": "serviceId", "service.id": "serviceId", "service.name": "service.name"}


class BadFilter(Exception):
    """A query this stand-in does not understand."""


def select(rows, query):
    """The rows (JSON objects) that a filter picks: true, and `a="b" and c="d"`."""
    query = re.sub(r"\s*(sort by|limit|skip)\s.*$", "", query or "true").strip()
    if query in ("", "true"):
        return rows
    for part in re.split(r"\s+and\s+", query):
        match = TERM.match(part.strip())
        if not match:
            raise BadFilter(query)
        name, operator, quoted, bare = match.groups()
        wanted = quoted if quoted is not None else bare
        path = NESTED.get(name, name)

        def value(row, path=path):
            if path == "identity" and "identityId" in row:
                return row["identityId"]
            for step in path.split("."):
                row = row.get(step) if isinstance(row, dict) else None
            return str(row).lower() if isinstance(row, bool) else row

        rows = [
            row
            for row in rows
            if (operator == "=" and value(row) == wanted)
            or (operator == "!=" and value(row) != wanted)
            or (operator == "contains" and wanted in (value(row) or ""))
        ]
    return rows
