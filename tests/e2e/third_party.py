"""Other people's programs: their versions, one run of them, and servers that cannot choose a port."""

import functools
import re
import socket
import subprocess
from pathlib import Path

from programs import ANSWER, environment

NGINX = """
daemon off;
master_process off;
error_log stderr notice;
pid {folder}/nginx.pid;
events {{ worker_connections {connections}; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  {http}
}}
"""
NGINX_READY = "event method"

NODE = {"NODE_PATH": "/usr/share/nodejs:/usr/lib/nodejs"}


@functools.cache
def version_of(*command):
    """The first number with a dot that it prints."""
    said = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER, check=True)
    return re.search(r"\d+(\.\d+)+", said.stdout + said.stderr).group(0)


def debian_version(package):
    """Of an installed package, without epoch and Debian's revision."""
    return version_of("dpkg-query", "-W", "-f", "${source:Upstream-Version}", package)


def run(*command, code=0, **options):
    """The ended process, whose exit code is looked at; output is bytes."""
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        timeout=ANSWER,
        env=environment() | options.pop("env", {}),
        **options,
    )
    assert done.returncode == code, f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def start_nginx(programs, folder, http, connections=512):
    """An nginx of one process with these lines in its `http` block, which says NGINX_READY."""
    config = Path(folder) / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, http=http, connections=connections))
    return programs.program("nginx", "-p", folder, "-c", config, "-e", "stderr", title="nginx")


def start_on_free_port(start, ready, taken):
    """(port, process) of a server that must be told its port: start(port) tries, until no other took
    that port meanwhile. `ready` and `taken` are patterns of lines that it prints."""
    for _ in range(20):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        process = start(port)
        if re.search(ready, process.wait_line(f"{ready}|{taken}").group(0)):
            return port, process
        process.kill()
    raise AssertionError("no free port")
