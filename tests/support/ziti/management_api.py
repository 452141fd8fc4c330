"""As much of the edge management and fabric APIs as the tests use, by the admin's login."""

import time

from client_api import data, describe_session, describe_routers, missing, page, unauthorized
from store import Identity, Network, Policy, Service, new_token, timestamp
from web import Refusal, Routes

PREFIX = "/edge/management/v1"
FABRIC = "/fabric/v1"
MANAGEMENT = Routes()


def admin(controller, request):
    if request.headers.get("zt-session") not in controller.admins:
        raise unauthorized(controller, "zt-session")


def reference(entity):
    return {"id": entity.id, "name": entity.name}


@MANAGEMENT.add("POST", PREFIX + "/authenticate")
def authenticate(controller, request):
    body = request.json
    if (body.get("username"), body.get("password")) != controller.admin_login:
        raise Refusal(401, "INVALID_AUTH", "The authentication request failed")
    token = new_token()
    controller.admins.add(token)
    return data({"token": token, "identity": {"name": "Default Admin"}}, zt_session=token)


@MANAGEMENT.add("GET", PREFIX + "/edge-routers")
def routers(controller, request):
    admin(controller, request)
    return page(request, describe_routers(controller))


# Identities ----------------------------------------------------------------------------------


def describe_identity(identity):
    enrollment = {}
    if identity.enrollment:
        keys = ("jwt", "token")
        enrollment["ott"] = {key: identity.enrollment[key] for key in keys}
        enrollment["ott"]["expiresAt"] = timestamp(identity.enrollment["expires"])
    return reference(identity) | {
        "roleAttributes": identity.roles,
        "isAdmin": identity.admin,
        "disabled": identity.disabled,
        "enrollment": enrollment,
        "createdAt": timestamp(identity.created),
    }


@MANAGEMENT.add("POST", PREFIX + "/identities")
def create_identity(controller, request):
    admin(controller, request)
    body = request.json
    unique(controller.network.identities, body)
    identity = Identity(body["name"], roles=body.get("roleAttributes") or [], admin=bool(body.get("isAdmin")))
    if (body.get("enrollment") or {}).get("ott"):
        now, token = time.time(), new_token()
        expires = now + controller.faults.enrollment_seconds
        claims = {
            "iss": f"https://127.0.0.1:{controller.listeners[0].port}",
            "sub": identity.id,
            "aud": [""],
            "exp": int(expires),
            "jti": token,
            "em": "ott",
            "ctrls": [f"tls:127.0.0.1:{listener.port}" for listener in controller.listeners],
        }
        identity.enrollment = {"token": token, "expires": expires, "jwt": controller.authority.sign(claims)}
    controller.network.identities[identity.id] = identity
    return data({"id": identity.id}, 201)


def unique(entities, body):
    if not body.get("name"):
        raise Refusal(400, "COULD_NOT_VALIDATE", "The supplied request contains an invalid document")
    if any(entity.name == body["name"] for entity in entities.values()):
        cause = {"field": "name", "reason": f"duplicate value '{body['name']}' in unique index", "value": body["name"]}
        raise Refusal(400, "COULD_NOT_VALIDATE", "The supplied request contains an invalid document", cause)


def found(entities, request):
    entity = entities.get(request.match["id"])
    if entity is None:
        raise missing()
    return entity


@MANAGEMENT.add("GET", PREFIX + "/identities")
def identities(controller, request):
    admin(controller, request)
    return page(request, [describe_identity(identity) for identity in controller.network.identities.values()])


@MANAGEMENT.add("GET", PREFIX + "/identities/{id}")
def identity_detail(controller, request):
    admin(controller, request)
    return data(describe_identity(found(controller.network.identities, request)))


@MANAGEMENT.add("POST", PREFIX + "/identities/{id}/disable")
def disable_identity(controller, request):
    admin(controller, request)
    identity = found(controller.network.identities, request)
    identity.disabled = True
    for session in [s for s in controller.network.api_sessions.values() if s.identity is identity]:
        controller.network.end_api_session(session)
    return data({})


# Services and policies -----------------------------------------------------------------------


@MANAGEMENT.add("POST", PREFIX + "/services")
def create_service(controller, request):
    admin(controller, request)
    body, network = request.json, controller.network
    unique(network.services, body)
    service = Service(body["name"], roles=body.get("roleAttributes") or [],
                      encrypted=body.get("encryptionRequired", True) is not False)
    network.services[service.id] = service
    network.touch()
    return data({"id": service.id}, 201)


@MANAGEMENT.add("GET", PREFIX + "/services")
def services(controller, request):
    admin(controller, request)
    rows = [reference(s) | {"encryptionRequired": s.encrypted} for s in controller.network.services.values()]
    return page(request, rows)


@MANAGEMENT.add("POST", PREFIX + "/service-policies")
def create_policy(controller, request):
    admin(controller, request)
    body, network = request.json, controller.network
    unique(network.policies, body)
    policy = Policy(body["name"], kind=body["type"], semantic=body.get("semantic", "AllOf"),
                    service_roles=body.get("serviceRoles") or [], identity_roles=body.get("identityRoles") or [])
    network.policies[policy.id] = policy
    network.touch()
    return data({"id": policy.id}, 201)


@MANAGEMENT.add("GET", PREFIX + "/service-policies")
def policies(controller, request):
    admin(controller, request)
    return page(request, [reference(p) | {"type": p.kind} for p in controller.network.policies.values()])


# What is up ----------------------------------------------------------------------------------


@MANAGEMENT.add("GET", PREFIX + "/terminators")
def terminators(controller, request):
    admin(controller, request)
    rows = [
        {
            "id": t.id,
            "serviceId": t.service.id,
            "service": reference(t.service),
            "routerId": t.router.id,
            "binding": "edge",
            "address": t.id,
            "identity": t.instance,
            "cost": t.cost,
            "precedence": ("default", "required", "failed")[t.precedence],
        }
        for t in controller.network.terminators.values()
    ]
    return page(request, rows)


@MANAGEMENT.add("GET", PREFIX + "/sessions")
def sessions(controller, request):
    admin(controller, request)
    return page(request, [describe_session(controller, s) for s in controller.network.sessions.values()])


@MANAGEMENT.add("GET", PREFIX + "/api-sessions")
def api_sessions(controller, request):
    admin(controller, request)
    rows = [
        {"id": s.id, "identityId": s.identity.id, "identity": reference(s.identity), "createdAt": timestamp(s.created)}
        for s in controller.network.api_sessions.values()
    ]
    return page(request, rows)


@MANAGEMENT.add("GET", FABRIC + "/circuits")
def circuits(controller, request):
    admin(controller, request)
    rows = [
        {"id": c.id, "clientId": c.session.id, "service": reference(c.terminator.service),
         "terminator": {"id": c.terminator.id}}
        for c in controller.network.circuits.values()
    ]
    return page(request, rows)


# What is taken away --------------------------------------------------------------------------


def forget(entities):
    """A removal of what others only refer to: what they may do with it is judged anew."""

    def remove(network, entity):
        del entities(network)[entity.id]
        network.enforce()

    return entities, remove


# By what the admin calls a kind: where those are by their ids, and how the network parts with one.
REMOVALS = {
    "identities": (lambda network: network.identities, Network.remove_identity),
    "services": forget(lambda network: network.services),
    "service-policies": forget(lambda network: network.policies),
    "sessions": (lambda network: network.sessions, Network.end_session),
    "api-sessions": (lambda network: {s.id: s for s in network.api_sessions.values()}, Network.end_api_session),
}


@MANAGEMENT.add("DELETE", PREFIX + "/{kind}/{id}")
def delete(controller, request):
    admin(controller, request)
    if request.match["kind"] not in REMOVALS:
        raise missing()
    entities, remove = REMOVALS[request.match["kind"]]
    remove(controller.network, found(entities(controller.network), request))
    return data({})
