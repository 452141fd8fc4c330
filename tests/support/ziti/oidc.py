"""The OIDC login (spec §2.9): authorize, login by certificate, code, tokens, refresh."""

import hashlib
from urllib.parse import urlencode, urlsplit

from certificates import base64url
from client_api import identity_by_certificate
from store import new_id
from web import Answer, Refusal, Routes

OIDC = Routes()
CLIENTS = ("openziti", "native")


def oauth_error(code, text):
    return Answer.of({"error": code, "error_description": text}, 400)


def redirect(location, **headers):
    return Answer(302, {"Location": location, **headers})


def allowed(redirect_uri):
    parts = urlsplit(redirect_uri)
    local = parts.scheme in ("http", "https") and parts.hostname in ("localhost", "127.0.0.1")
    return redirect_uri == "openziti://auth/callback" or (local and parts.path == "/auth/callback")


@OIDC.add("GET", "/oidc/.well-known/openid-configuration")
def discovery(controller, request):
    base = f"https://{request.host}/oidc"
    return Answer.of(
        {
            "issuer": base,
            "authorization_endpoint": f"{base}/authorize",
            "token_endpoint": f"{base}/oauth/token",
            "code_challenge_methods_supported": ["S256"],
        }
    )


@OIDC.add("GET", "/oidc/authorize")
def authorize(controller, request):
    query = request.query
    if query.get("client_id") not in CLIENTS or not allowed(query.get("redirect_uri", "")):
        return oauth_error("invalid_request", "The client or the redirect_uri is not allowed")
    if query.get("code_challenge_method") != "S256" or not query.get("code_challenge"):
        return oauth_error("invalid_request", "code_challenge with method S256 is required")
    if query.get("response_type") != "code":
        return oauth_error("unsupported_response_type", "only code")
    request_id = new_id()
    controller.logins[request_id] = {"query": query, "identity": None}
    return redirect(f"/oidc/login/username?authRequestID={request_id}", auth_request_id=request_id)


@OIDC.add("POST", "/oidc/login/cert")
def login(controller, request):
    body = request.json if "json" in request.headers.get("content-type", "") else request.form
    request_id = body.get("id") or request.query.get("id") or request.query.get("authRequestID")
    pending = controller.logins.get(request_id)
    if pending is None:
        raise Refusal(400, "INVALID_AUTH", "invalid auth request id")
    pending["identity"], pending["fingerprint"] = identity_by_certificate(controller, request)
    pending["chain"] = request.chain > 1
    return redirect(f"/oidc/authorize/callback?id={request_id}")


@OIDC.add("GET", "/oidc/authorize/callback")
def callback(controller, request):
    pending = controller.logins.get(request.query.get("id"))
    if pending is None or pending["identity"] is None:
        return oauth_error("invalid_request", "no such login")
    code = new_id()
    controller.codes[code] = controller.logins.pop(request.query["id"])
    query = pending["query"]
    answer = urlencode({"code": code, "state": query.get("state", "")})
    return redirect(f"{query['redirect_uri']}?{answer}")


@OIDC.add("POST", "/oidc/oauth/token")
def token(controller, request):
    form = request.form
    if form.get("client_id") not in CLIENTS:
        return oauth_error("invalid_client", "no such client")
    kind = form.get("grant_type")
    if kind == "authorization_code":
        pending = controller.codes.pop(form.get("code"), None)
        if pending is None:
            return oauth_error("invalid_grant", "invalid code")
        query = pending["query"]
        digest = base64url(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if digest != query["code_challenge"] or form.get("redirect_uri") != query["redirect_uri"]:
            return oauth_error("invalid_grant", "invalid code verifier or redirect_uri")
        session = controller.network.start_api_session(
            pending["identity"], pending["fingerprint"], oidc=True, chain=pending["chain"]
        )
        session.expires += 24 * 3600  # the refresh token's life
    elif kind in ("refresh_token", "urn:ietf:params:oauth:grant-type:token-exchange"):
        presented = form.get("refresh_token") or form.get("subject_token")
        session = controller.refreshes.pop(presented, None)
        if session is None or session.token not in controller.network.api_sessions:
            return oauth_error("invalid_grant", "refresh token is not valid")
    else:
        return oauth_error("unsupported_grant_type", str(kind))
    refresh = controller.authority.sign({"sub": session.identity.id, "z_asid": session.id, "z_t": "r", "jti": new_id()})
    controller.refreshes[refresh] = session
    return Answer.of(
        {
            "access_token": controller.tokens.bearer(session),
            "refresh_token": refresh,
            "id_token": controller.tokens.bearer(session),
            "token_type": "Bearer",
            "expires_in": int(controller.tokens.bearer_seconds),
        }
    )
