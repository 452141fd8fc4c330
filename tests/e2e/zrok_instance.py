"""A zrok instance for the tests: its REST calls, over a network of ziti_network.py.

Shares are services of that network and accesses are Dial policies, as zrok makes them; there are no
frontends behind the URLs.
"""

import json
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

MEDIA_TYPE = "application/zrok.v1+json"


class Refused(Exception):
    """An error answer: its status."""


class Instance:
    def __init__(self, network):
        self.network = network
        self.token = "Account" + secrets.token_hex(6)
        self.environments, self.shares, self.accesses, self.names = {}, {}, {}, set()
        self._lock = threading.Lock()
        instance = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or b"{}")
                try:
                    if self.headers.get("X-TOKEN") != instance.token:
                        raise Refused(401)
                    said = instance.call(self.command, urlsplit(self.path).path, body)
                    status = 201 if self.command == "POST" else 200
                except Refused as refused:
                    status, said = refused.args[0], None
                text = b"" if said is None else json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Type", MEDIA_TYPE)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_DELETE = answer  # noqa: N815

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def call(self, method, path, body):
        with self._lock:
            if path.startswith("/api/v2/detail/environment/"):
                if path.rsplit("/", 1)[1] not in self.environments:
                    raise Refused(404)
                return {}
            return getattr(self, f"_{method.lower()}_" + path.removeprefix("/api/v2/").replace("/", "_"))(body)

    def _environment(self, body):
        if body.get("envZId") not in self.environments:
            raise Refused(401)
        return self.environments[body["envZId"]]

    def _post_enable(self, body):
        identity = self.network.identity("environment")
        self.environments[identity.id] = identity
        identity.description = body["description"]
        return {"identity": identity.id, "cfg": identity.path.read_text(encoding="utf-8")}

    def _post_disable(self, body):
        if self.environments.pop(body["identity"], None) is None:
            raise Refused(401)
        for token in [token for token, share in self.shares.items() if share["envZId"] == body["identity"]]:
            self._end(token)

    def _post_share(self, body):
        identity = self._environment(body)
        public = body["shareMode"] == "public"
        name = body["nameSelections"][0]["name"] if public else body.get("privateShareToken", "")
        if public and name and name not in self.names:
            raise Refused(409)
        token = name if name and not public else "tok" + secrets.token_hex(5)
        if token in self.shares or any(public and name and share["name"] == name for share in self.shares.values()):
            raise Refused(409)
        service = self.network.service(hosts=[identity], named=token)
        self.shares[token] = {
            "shareToken": token, "envZId": identity.id, "shareMode": body["shareMode"], "target": body["target"],
            "name": name, "frontendEndpoints": [f"https://{name or token}.share.example"], "service": service,
        }
        return {"shareToken": token, "frontendProxyEndpoints": self.shares[token]["frontendEndpoints"] if public else []}

    def _end(self, token):
        share = self.shares.pop(token, None)
        if share is None:
            raise Refused(404)
        for access in [access for access, made in self.accesses.items() if made["shareToken"] == token]:
            self._end_access(access)
        self.network.delete_service(share["service"])

    def _end_access(self, token):
        access = self.accesses.pop(token, None)
        if access is None:
            raise Refused(404)
        self.network.delete("service-policies", access["policy"])

    def _delete_unshare(self, body):
        self._end(body["shareToken"])

    def _post_access(self, body):
        identity = self._environment(body)
        share = self.shares.get(body["shareToken"])
        if share is None:
            raise Refused(404)
        token = "fe" + secrets.token_hex(5)
        self.accesses[token] = {
            "frontendToken": token, "envZId": identity.id, "shareToken": body["shareToken"],
            "description": body["description"], "policy": self.network.allow("Dial", share["service"], [identity]),
        }
        return {"frontendToken": token, "backendMode": "proxy"}

    def _delete_unaccess(self, body):
        self._end_access(body["frontendToken"])

    def _get_shares(self, _):
        return {"shares": [{k: v for k, v in share.items() if k != "service"} for share in self.shares.values()]}

    def _get_accesses(self, _):
        return {"accesses": [{k: v for k, v in made.items() if k != "policy"} for made in self.accesses.values()]}

    def _get_share_namespaces(self, _):
        return [{"namespaceToken": "public", "name": "share.example"}]

    def _post_share_name(self, body):
        if body["name"] in self.names:
            raise Refused(409)
        self.names.add(body["name"])
        return {}
