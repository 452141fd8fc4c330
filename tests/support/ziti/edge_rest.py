"""The REST half of edge_client.py: identity files, enrollment, the edge client API (legacy login)."""

from __future__ import annotations

import base64
import http.client
import json
import os
import ssl
import tempfile
import warnings
from urllib.parse import quote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import pkcs7

API = "/edge/client/v1"


class EdgeError(Exception):
    """A refusal by the controller, the router or the peer. `code` is 0 when none was given."""

    def __init__(self, text: str, code: int = 0, detail: dict | None = None):
        super().__init__(text)
        self.code, self.detail = code, detail or {}


# ---------------------------------------------------------------- identity and enrollment (§1)

class Identity:
    """An identity JSON file: controller URL, key, certificate chain, trust bundle."""

    def __init__(self, path: str):
        with open(path) as f:
            doc = json.load(f)
        self.api = (doc.get("ztAPIs") or [doc["ztAPI"]])[0]
        if urlsplit(self.api).path in ("", "/"):
            self.api = self.api.rstrip("/") + API
        self.key, self.cert, self.ca = (self._pem(doc["id"][k]) for k in ("key", "cert", "ca"))

    @staticmethod
    def _pem(ref: str) -> str:
        if ref.startswith("pem:"):
            return ref[4:]
        if ref.lstrip().startswith("-----BEGIN"):
            return ref
        with open(ref.removeprefix("file://").removeprefix("file:")) as f:
            return f.read()

    def tls(self, alpn: str) -> ssl.SSLContext:
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        ctx.load_verify_locations(cadata=self.ca)
        ctx.set_alpn_protocols([alpn])
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as f:  # the ssl module only reads files
            f.write(self.cert.rstrip() + "\n" + self.key)
            f.flush()
            ctx.load_cert_chain(f.name)
        return ctx


def https(ctx: ssl.SSLContext, url, method: str, path: str, body, headers: dict) -> tuple[int, bytes]:
    conn = http.client.HTTPSConnection(url.hostname, url.port, context=ctx, timeout=30)
    conn.request(method, path, body, headers)
    reply = conn.getresponse()
    data = reply.read()
    conn.close()
    return reply.status, data


def _b64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def verify_jwt(token: str, leaf: x509.Certificate) -> dict:
    """Checks the compact JWS against the leaf's public key and returns the claims (§1.3)."""
    head, claims, sig = token.split(".")
    alg, key, raw = json.loads(_b64(head))["alg"], leaf.public_key(), _b64(sig)
    digest = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}[alg[2:]]()
    signed = f"{head}.{claims}".encode()
    if alg == "RS256" and isinstance(key, rsa.RSAPublicKey):
        key.verify(raw, signed, padding.PKCS1v15(), digest)
    elif alg.startswith("ES") and isinstance(key, ec.EllipticCurvePublicKey):
        half = len(raw) // 2
        der = encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))
        key.verify(der, signed, ec.ECDSA(digest))
    else:
        raise EdgeError(f"token algorithm {alg} does not fit the controller's key")
    return json.loads(_b64(claims))


def enroll(token: str, out: str) -> dict:
    """One-time-token enrollment; writes the identity file and returns the token's claims."""
    token = token.strip()
    claims = json.loads(_b64(token.split(".")[1]))
    if claims["em"] != "ott":
        raise EdgeError(f"enrollment method {claims['em']} is not supported")
    url = urlsplit(claims["iss"])
    leaf = x509.load_pem_x509_certificate(ssl.get_server_certificate((url.hostname, url.port)).encode())
    verify_jwt(token, leaf)

    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trust exactly that leaf
    ctx.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    ctx.load_verify_locations(cadata=leaf.public_bytes(serialization.Encoding.PEM).decode())
    ctx.set_alpn_protocols(["http/1.1"])

    def call(method, path, body=None, **headers):
        status, data = https(ctx, url, method, API + path, body, headers)
        if status != 200:
            raise EdgeError(f"{method} {path}: HTTP {status} {data.decode(errors='replace')}")
        return data

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the bundle's SET is not in DER order
        certs = pkcs7.load_der_pkcs7_certificates(base64.b64decode(call("GET", "/.well-known/est/cacerts")))
    if not certs:
        raise EdgeError("controller sent no CA certificates")
    ca = "".join(c.public_bytes(serialization.Encoding.PEM).decode() for c in certs)

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, claims["sub"])])
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    answer = call("POST", f"/enroll?method=ott&token={claims['jti']}", csr.public_bytes(serialization.Encoding.PEM),
                  **{"Content-Type": "application/x-pem-file", "Accept": "application/json"})
    cert = json.loads(answer)["data"]["cert"] if answer.lstrip().startswith(b"{") else answer.decode()
    key_pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                serialization.NoEncryption()).decode()
    api = claims["iss"].rstrip("/") + API
    doc = {"ztAPI": api, "ztAPIs": [api], "id": {"key": "pem:" + key_pem, "cert": "pem:" + cert, "ca": "pem:" + ca}}
    with open(os.open(out + ".tmp", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
        json.dump(doc, f, indent=1)
    os.replace(out + ".tmp", out)
    return claims


# ---------------------------------------------------------------- controller REST (§2)

class Controller:
    """The edge client API over mTLS with a legacy zt-session token. Blocking."""

    def __init__(self, identity: Identity):
        self.identity, self.token, self.session = identity, "", {}
        self._url, self._ctx = urlsplit(identity.api), identity.tls("http/1.1")

    def call(self, method: str, path: str, body=None, *, raw=False):
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self.token:
            headers["zt-session"] = self.token
        data = None if body is None else json.dumps(body)
        status, data = https(self._ctx, self._url, method, self._url.path + path, data, headers)
        doc = json.loads(data or b"{}")
        if status >= 400:
            err = doc.get("error", {})
            raise EdgeError(f"{method} {path}: HTTP {status} {err.get('code')}: {err.get('message')}", status, err)
        return doc if raw else doc.get("data")

    def login(self) -> dict:
        self.session = self.call("POST", "/authenticate?method=cert",
                                 {"sdkInfo": {"type": "edge_client.py", "version": "1"}, "configTypes": ["all"]})
        self.token = self.session["token"]
        return self.session

    def services(self, query: str = "true") -> list[dict]:
        found: list[dict] = []
        while True:
            doc = self.call("GET", f"/services?filter={quote(query)}&limit=100&offset={len(found)}", raw=True)
            found += doc["data"]
            if not doc["data"] or len(found) >= doc["meta"]["pagination"]["totalCount"]:
                return found

    def service(self, name: str) -> dict:
        found = self.services(f'name="{name}"')
        if not found:
            raise EdgeError(f'no service "{name}" for this identity')
        return found[0]

    def create_session(self, service_id: str, kind: str) -> dict:
        return self.call("POST", "/sessions", {"serviceId": service_id, "type": kind})
