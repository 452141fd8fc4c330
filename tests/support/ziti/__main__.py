"""The stand-in for an OpenZiti network: controller(s) and edge router(s) in one process, on loopback.

Prints `ready {json}` with the addresses, the admin's login and the file of the CA, and runs until it
is told to end. Ports are chosen by the kernel and stay the same across ordered restarts.
"""

import argparse
import asyncio
import inspect
import json
import signal
import sys
from datetime import timedelta
from pathlib import Path

from certificates import ALGORITHMS, Authority
from client_api import CLIENT, missing
from faults import FAULTS, Faults
from management_api import MANAGEMENT
from oidc import OIDC
from router import Router
from store import Network, new_token
from tokens import Tokens
from web import Listener, Refusal, after, serve_http


class Controller:
    """One network behind one or several API addresses."""

    def __init__(self, options):
        self.authority = Authority(options.algorithm)
        self.network = Network()
        self.faults = Faults()
        self.tokens = Tokens(self.network, self.authority, options.like)
        self.admin_login = ("admin", new_token())
        self.admins = set()
        self._instance = new_token()
        self.logins, self.codes, self.refreshes = {}, {}, {}
        self._also = []
        self._routes = [FAULTS, CLIENT, MANAGEMENT] + ([OIDC] if self.tokens.modern else [])
        self._tasks = set()
        self.listeners = [Listener(self._serve, self._context()) for _ in range(options.controllers)]
        self.routers = [
            Router(self.network, self.authority, self.faults, self.tokens, f"router-{number}")
            for number in range(1, options.routers + 1)
        ]

    def _context(self):
        return self.authority.tls(["http/1.1"], required=False, also=self._also)

    async def start(self):
        for server in self.listeners + self.routers:
            await server.start()

    async def restart(self, seconds, forget):
        """Every connection is cut and for those seconds nothing listens."""
        for listener in self.listeners:
            listener.stop()
        if forget:
            for session in list(self.network.api_sessions.values()):
                self.network.end_api_session(session)
        await after(seconds)
        for listener in self.listeners:
            await listener.start()

    def spawn(self, work):
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _renew(self):
        for listener in self.listeners:
            listener.context = self._context()
        await self.restart(0, False)

    def skew(self, seconds):
        """As if the controller's clock were ahead by that: what it issues begins in the future."""
        self.authority.skew = timedelta(seconds=seconds)
        self.authority.renew()
        self.spawn(self._renew())

    def trust_also(self, pem):
        """Client certificates of that authority get past TLS too, to be refused as unknown."""
        self._also.append(pem)
        self.spawn(self._renew())

    async def _serve(self, reader, writer):
        await serve_http(reader, writer, self.handle)

    async def handle(self, request):
        answer = await self._answer(request)
        if answer is not None:
            answer.headers.setdefault("ziti-instance-id", self._instance)  # the C SDK needs it
        return answer

    async def _answer(self, request):
        if request.path != "/faults":
            instead, answer = await self.faults.answer(request)
            if instead:
                return answer
        try:
            for routes in self._routes:
                if handler := routes.find(request):
                    answer = handler(self, request)
                    return await answer if inspect.isawaitable(answer) else answer
            raise missing()
        except Refusal as refusal:
            return refusal.answer(next(self.network.request_ids))


async def run(options):
    controller = Controller(options)
    await controller.start()
    folder = Path(options.folder)
    folder.mkdir(parents=True, exist_ok=True)
    ca = folder / "ca.pem"
    ca.write_text(controller.authority.bundle(), encoding="ascii")
    user, password = controller.admin_login
    ready = {
        "controllers": [f"https://127.0.0.1:{listener.port}" for listener in controller.listeners],
        "routers": [router.address for router in controller.routers],
        "user": user,
        "password": password,
        "ca": str(ca),
        "version": controller.tokens.version,
    }
    print("ready", json.dumps(ready), flush=True)
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()
    for server in controller.listeners + [router.listener for router in controller.routers]:
        server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", required=True, help="where the CA's file is written")
    parser.add_argument("--like", choices=("1.6", "2.0", "3.0"), default="2.0")
    parser.add_argument("--algorithm", choices=sorted(ALGORITHMS), default="RS256")
    parser.add_argument("--controllers", type=int, default=1)
    parser.add_argument("--routers", type=int, default=1)
    asyncio.run(run(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
