"""The edge client API (spec §1, §2): what identities ask the controller."""

import base64
import textwrap
import time

from certificates import der, fingerprint
from store import BadFilter, Session, select, timestamp
from web import Answer, Refusal, Routes

PREFIX = "/edge/client/v1"
CLIENT = Routes()
DEFAULT_LIMIT, MAX_LIMIT = 10, 500


def data(value, status=200, **headers):
    return Answer.of({"data": value, "meta": {}}, status, **headers)


def page(request, rows):
    """One page of a list, as the query asks for."""
    try:
        rows = select(rows, request.query.get("filter"))
        limit = min(MAX_LIMIT, int(request.query.get("limit", DEFAULT_LIMIT)))
        offset = int(request.query.get("offset", 0))
    except (BadFilter, ValueError) as problem:
        raise Refusal(400, "INVALID_FILTER", f"The filter query supplied is invalid: {problem}") from None
    pagination = {"limit": limit, "offset": offset, "totalCount": len(rows)}
    meta = {"pagination": pagination, "filterableFields": ["id", "name"]}
    return Answer.of({"data": rows[offset : offset + limit], "meta": meta})


def missing():
    return Refusal(404, "NOT_FOUND", "The resource requested was not found or is no longer available")


def unauthorized(controller, presented):
    challenges = {
        None: 'zt-session error="missing", error_description="no matching token was provided", '
        'Bearer error="missing", error_description="no matching token was provided"',
        "zt-session": 'zt-session error="invalid", error_description="token is invalid"',
        "Bearer": 'Bearer error="invalid", error_description="token is invalid"',
    }
    headers = {"WWW_Authenticate": challenges[presented]} if controller.tokens.modern else {}
    text = "The request could not be completed. The session is not authorized or the credentials are invalid"
    return Refusal(401, "UNAUTHORIZED", text, **headers)


def session_of(controller, request):
    token, presented = request.headers.get("zt-session"), "zt-session"
    if token is None:
        scheme, _, rest = request.headers.get("authorization", "").partition(" ")
        token, presented = (rest.strip(), "Bearer") if scheme.lower() == "bearer" else (None, None)
    if presented is None:
        raise unauthorized(controller, None)
    session = controller.tokens.api_session(token)
    if session is None or session.identity.disabled or session.oidc != (presented == "Bearer"):
        raise unauthorized(controller, presented)
    if not controller.tokens.modern:  # 1.x: a request is activity; 2.x: only an open channel is
        session.expires = time.time() + controller.network.session_seconds
    return session


def identity_by_certificate(controller, request):
    """The identity whose certificate this is; the refusal of a login otherwise."""
    refusal = Refusal(401, "INVALID_AUTH", "The authentication request failed")
    if request.certificate is None:
        raise refusal
    print_ = fingerprint(request.certificate)
    for identity in controller.network.identities.values():
        if print_ in identity.fingerprints and not identity.disabled:
            return identity, print_
    raise refusal


# Without a session ---------------------------------------------------------------------------


@CLIENT.add("GET", "/version", PREFIX + "/version")
def version(controller, request):
    host = f"https://{request.host}"
    bindings = {
        "edge": {"v1": {"path": PREFIX, "apiBaseUrls": [host + PREFIX]}},
        "edge-client": {"v1": {"path": PREFIX, "apiBaseUrls": [host + PREFIX]}},
        "edge-management": {"v1": {"path": "/edge/management/v1", "apiBaseUrls": [host + "/edge/management/v1"]}},
    }
    capabilities = []
    if controller.tokens.modern:
        bindings["edge-oidc"] = {"v1": {"path": "/oidc", "apiBaseUrls": [host + "/oidc"]}}
        capabilities = ["OIDC_AUTH"] + (["HA_CONTROLLER"] if len(controller.listeners) > 1 else [])
    return data(
        {
            "version": controller.tokens.version,
            "revision": "standin",
            "buildDate": "2026-01-01",
            "runtimeVersion": "python",
            "capabilities": capabilities,
            "apiVersions": bindings,
        }
    )


@CLIENT.add("GET", PREFIX + "/.well-known/est/cacerts", "/.well-known/est/cacerts")
def ca_certificates(controller, request):
    text = "\n".join(textwrap.wrap(base64.b64encode(controller.authority.pkcs7()).decode(), 64)) + "\n"
    headers = {"Content-Type": "application/pkcs7-mime", "Content-Transfer-Encoding": "base64"}
    return Answer(200, headers, text.encode())


@CLIENT.add("POST", PREFIX + "/enroll", "/enroll")
def enroll(controller, request):
    if request.query.get("method", "ott") != "ott":
        raise Refusal(400, "INVALID_ENROLL_METHOD", "The supplied enrollment method is not supported")
    return finish_enrollment(controller, request, request.query.get("token"), request.body)


@CLIENT.add("POST", PREFIX + "/enroll/ott")
def enroll_by_json(controller, request):
    body = request.json
    return finish_enrollment(controller, request, body.get("token"), str(body.get("clientCsr", "")).encode())


def finish_enrollment(controller, request, token, csr):
    if request.headers.get("accept", "*/*").split(",")[0].strip() not in ("", "*/*", "application/json"):
        raise Refusal(415, "UNSUPPORTED_MEDIA_TYPE", "unsupported media type requested")
    for identity in controller.network.identities.values():
        if identity.enrollment and identity.enrollment["token"] == token:
            break
    else:
        raise Refusal(400, "INVALID_ENROLLMENT_TOKEN", "The supplied token is not valid")
    if identity.enrollment["expires"] < time.time():
        raise Refusal(400, "ENROLLMENT_EXPIRED", "The Enrollment has expired")
    try:
        leaf, chain = controller.authority.sign_request(csr, identity.id)
    except ValueError:
        raise Refusal(400, "COULD_NOT_PROCESS_CSR", "The supplied csr could not be processed") from None
    identity.enrollment = None
    identity.fingerprints.add(fingerprint(der(leaf)))
    return data({"cert": chain})


@CLIENT.add("POST", PREFIX + "/authenticate")
def authenticate(controller, request):
    if request.query.get("method") != "cert":
        raise Refusal(400, "INVALID_AUTH_METHOD", "The supplied authentication method is not supported")
    identity, print_ = identity_by_certificate(controller, request)
    if not controller.tokens.legacy:
        raise Refusal(404, "NOT_FOUND", "The resource requested was not found or is no longer available")
    types = request.json.get("configTypes") or []
    session = controller.network.start_api_session(
        identity, print_, config_types=types, chain=request.chain > 1
    )
    return data(describe_api_session(session), zt_session=session.token)


def describe_api_session(session):
    left = session.expires - time.time()
    return {
        "id": session.id,
        "token": session.token,
        "identityId": session.identity.id,
        "identity": {"id": session.identity.id, "name": session.identity.name, "entity": "identities"},
        "expiresAt": timestamp(session.expires),
        "expirationSeconds": int(left),
        "lastActivityAt": timestamp(),
        "createdAt": timestamp(session.created),
        "updatedAt": timestamp(session.created),
        "authQueries": [],
        "authenticatorId": "standin",
        "isMfaComplete": True,
        "isMfaRequired": False,
        "isCertExtendable": True,
        "improperClientCertChain": not session.chain,
        "configTypes": session.config_types,
        "ipAddress": "127.0.0.1",
        "cachedLastActivityAt": timestamp(),
        "_links": {},
    }


# With one ------------------------------------------------------------------------------------


@CLIENT.add("GET", PREFIX + "/current-api-session")
def current_session(controller, request):
    return data(describe_api_session(session_of(controller, request)))


@CLIENT.add("DELETE", PREFIX + "/current-api-session")
def log_out(controller, request):
    controller.network.end_api_session(session_of(controller, request))
    return data({})


@CLIENT.add("GET", PREFIX + "/current-api-session/service-updates")
def service_updates(controller, request):
    session_of(controller, request)
    return data({"lastChangeAt": timestamp(controller.network.changed)})


@CLIENT.add("GET", PREFIX + "/current-identity")
def current_identity(controller, request):
    identity = session_of(controller, request).identity
    return data({"id": identity.id, "name": identity.name, "isAdmin": identity.admin, "type": {"name": "Default"}})


@CLIENT.add("GET", PREFIX + "/current-identity/edge-routers")
def own_routers(controller, request):
    session_of(controller, request)
    return page(request, describe_routers(controller))


@CLIENT.add("GET", PREFIX + "/controllers")
def controllers(controller, request):
    session_of(controller, request)
    rows = [
        {
            "id": f"controller-{number}",
            "name": f"controller-{number}",
            "isOnline": True,
            "apiAddresses": {"edge-client": [{"url": f"https://127.0.0.1:{listener.port}{PREFIX}", "version": "v1"}]},
        }
        for number, listener in enumerate(controller.listeners, 1)
    ]
    return page(request, rows)


def describe_routers(controller):
    return [
        {
            "id": router.id,
            "name": router.name,
            "hostname": "127.0.0.1",
            "isOnline": router.online and not controller.faults.routers_offline,
            "supportedProtocols": {"tls": router.address},
            "urls": {"tls": router.address},
            "cost": 0,
            "noTraversal": False,
            "disabled": False,
            "syncStatus": "SYNC_DONE",
        }
        for router in controller.network.routers
    ]


def describe_service(controller, service, identity):
    return {
        "id": service.id,
        "name": service.name,
        "permissions": controller.network.permissions(identity, service),
        "encryptionRequired": service.encrypted,
        "config": service.configs,
        "configs": [],
        "postureQueries": [],
        "terminatorStrategy": "smartrouting",
        "maxIdleTimeMillis": service.max_idle,
        "roleAttributes": service.roles,
        "createdAt": timestamp(service.created),
        "updatedAt": timestamp(service.created),
        "tags": {},
        "_links": {},
    }


def visible_service(controller, identity, service_id):
    service = controller.network.services.get(service_id)
    if service is None or not controller.network.permissions(identity, service):
        raise missing()
    return service


@CLIENT.add("GET", PREFIX + "/services")
def services(controller, request):
    identity = session_of(controller, request).identity
    return page(request, [describe_service(controller, s, identity) for s in controller.network.visible(identity)])


@CLIENT.add("GET", PREFIX + "/services/{id}")
def service_detail(controller, request):
    identity = session_of(controller, request).identity
    return data(describe_service(controller, visible_service(controller, identity, request.match["id"]), identity))


@CLIENT.add("GET", PREFIX + "/services/{id}/edge-routers")
def service_routers(controller, request):
    visible_service(controller, session_of(controller, request).identity, request.match["id"])
    return data({"edgeRouters": describe_routers(controller)})


@CLIENT.add("GET", PREFIX + "/services/{id}/terminators")
def service_terminators(controller, request):
    service = visible_service(controller, session_of(controller, request).identity, request.match["id"])
    found = [t for t in controller.network.terminators.values() if t.service is service]
    return page(
        request,
        [{"id": t.id, "identity": t.instance, "service": {"id": service.id}, "routerId": t.router.id} for t in found],
    )


@CLIENT.add("GET", PREFIX + "/sessions")
def own_sessions(controller, request):
    login = session_of(controller, request)
    rows = [describe_session(controller, s) for s in controller.network.sessions.values() if s.api_session is login]
    return page(request, rows)


@CLIENT.add("POST", PREFIX + "/sessions")
def create_session(controller, request):
    login, network = session_of(controller, request), controller.network
    kind, service_id = request.json.get("type", "Dial"), request.json.get("serviceId")
    service = network.services.get(service_id)
    if service is None:
        raise missing()
    if kind not in network.permissions(login.identity, service):
        cause = {"field": "serviceId", "reason": "service not found", "value": service_id}
        raise Refusal(400, "COULD_NOT_VALIDATE", "The supplied request contains an invalid document or no valid "
                      "accept content were available, see cause", cause)
    if controller.faults.no_routers:
        raise Refusal(400, "NO_EDGE_ROUTERS_AVAILABLE", "No edge routers are assigned and online to handle this "
                      "connection")
    for session in network.sessions.values():
        if (session.api_session, session.service, session.kind) == (login, service, kind):
            break
    else:
        session = Session(login, service, kind)
        network.sessions[session.id] = session
    controller.tokens.issue(session)
    return data(describe_session(controller, session), 201)


def describe_session(controller, session):
    return {
        "id": session.id,
        "token": session.token,
        "type": session.kind,
        "serviceId": session.service.id,
        "service": {"id": session.service.id, "name": session.service.name, "entity": "services"},
        "apiSessionId": session.api_session.id,
        "apiSession": {"id": session.api_session.id, "entity": "api-sessions"},
        "identityId": session.api_session.identity.id,
        "edgeRouters": describe_routers(controller),
        "createdAt": timestamp(session.created),
        "updatedAt": timestamp(session.created),
        "tags": {},
        "_links": {},
    }


def own_session(controller, request):
    login = session_of(controller, request)
    session = controller.network.session(request.match["id"])
    if session is None or session.api_session is not login:
        raise missing()
    return session


@CLIENT.add("GET", PREFIX + "/sessions/{id}")
def session_detail(controller, request):
    return data(describe_session(controller, own_session(controller, request)))


@CLIENT.add("DELETE", PREFIX + "/sessions/{id}")
def end_session(controller, request):
    controller.network.end_session(own_session(controller, request))
    return data({})
