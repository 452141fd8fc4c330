"""nginx, haproxy and Simplon, each in front of a recording origin of its own.

The oracles run as ordinary child processes, as whoever runs the tests, and listen on unix sockets in
the test's folder: no port to be taken by somebody else.
"""

import socket

from raw_http import Client, Malformed, Origin, Wire
from third_party import NGINX_READY, start_nginx, version_of

# Seconds. nginx 1.22 takes an interim response for the final one, and both sides of it wait for more.
PATIENCE = 5

NGINX = """
  upstream origin {{ server {origin}; keepalive 32; }}
  server {{
    listen unix:{listen};
    location / {{
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header Connection "";
      proxy_ignore_client_abort on;
      proxy_read_timeout {patience}s;
      client_max_body_size 0;
    }}
  }}
"""

HAPROXY = """
defaults
  mode http
  option http-keep-alive
  timeout client 30s
  timeout connect 5s
  timeout server 30s
frontend front
  bind fd@{fd}
  default_backend back
backend back
  http-reuse always
  server origin {origin}
"""


class RecordingOrigin(Origin):
    """Keeps what it could not read, too: who forwarded that was lenient."""

    def __init__(self):
        super().__init__()
        self.malformed = []

    def _failed(self, failure):
        if isinstance(failure, Malformed):
            with self._changed:
                self.malformed.append(str(failure))
        else:
            super()._failed(failure)


class Proxy:
    def __init__(self, name, version=""):
        self.name = name
        self.version = version
        self.origin = RecordingOrigin()
        self.unix = None
        self.address = None

    def connect(self):
        if self.unix is None:
            return Client(self.address)
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(self.unix))
        return UnixClient(client)


class UnixClient(Client):
    def __init__(self, connection):
        Wire.__init__(self, connection)
        self.socket.settimeout(PATIENCE)


def nginx_proxy(programs, folder):
    proxy = Proxy("nginx", version_of("nginx", "-v"))
    proxy.unix = folder / "nginx.sock"
    http = NGINX.format(origin=proxy.origin.address, listen=proxy.unix, patience=PATIENCE)
    start_nginx(programs, folder, http, connections=1024).wait_line(NGINX_READY)
    return proxy


def haproxy_proxy(programs, folder):
    proxy = Proxy("haproxy", version_of("haproxy", "-v"))
    proxy.unix = folder / "haproxy.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(proxy.unix))
        listener.listen(128)  # whoever connects now is served once it runs
        config = folder / "haproxy.cfg"
        config.write_text(HAPROXY.format(fd=listener.fileno(), origin=proxy.origin.address))
        programs.program(
            "haproxy", "-db", "-f", config, title="haproxy", pass_fds=[listener.fileno()]
        )
    return proxy


def simplon_proxy(name, pair):
    proxy = Proxy(name)
    alpha, beta = pair
    beta.share(proxy.origin.url, "origin")
    proxy.address = alpha.access("origin")
    return proxy
