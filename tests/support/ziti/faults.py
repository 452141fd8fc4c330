"""Faults on demand: POST /faults with {"fault": NAME, ...} on the controller's port. See README.md."""

import re

from web import Answer, Refusal, Routes, after

FAULTS = Routes()
HTML = b"<!doctype html><html><body><h1>Welcome to the captive portal</h1></body></html>"


class Faults:
    """What goes wrong now; `clear` sets everything right again."""

    def __init__(self):
        self.clear()

    def clear(self):
        self.answers = []  # {path, status | html | delay | cut, count}
        self.dials = []  # the texts of the next refusals
        self.after_hello = []  # bytes a router sends behind its Hello reply
        self.mute = False  # routers accept and say nothing
        self.refuse_logins = False  # routers take no login, however good
        self.routers_offline = False
        self.no_routers = False
        self.bind_delay = 0
        self.enrollment_seconds = 180 * 60

    def take_dial(self):
        return self.dials.pop(0) if self.dials else None

    async def answer(self, request):
        """(True, what to answer instead) or (False, None)."""
        for rule in list(self.answers):
            if not re.search(rule.get("path", ""), request.path):
                continue
            rule["count"] = rule.get("count", 1) - 1
            if rule["count"] <= 0:
                self.answers.remove(rule)
            if rule.get("delay"):
                await after(rule["delay"])
            if rule.get("cut"):
                return True, None
            if rule.get("html"):
                return True, Answer(200, {"Content-Type": "text/html"}, HTML)
            if rule.get("fill"):
                return True, Answer(200, {"Content-Type": "application/json"}, b"[" * rule["fill"])
            if rule.get("body") is not None:
                return True, Answer(rule.get("status", 200), {"Content-Type": "application/json"},
                                    rule["body"].encode())
            if rule.get("status"):
                code = "RATE_LIMITED" if rule["status"] == 429 else "UNHANDLED"
                return True, Refusal(rule["status"], code, "an ordered failure").answer("0")
        return False, None


def chosen(controller, body, sessions):
    """Those of one identity, by name or id, or all."""
    wanted = body.get("identity")
    return [s for s in sessions if not wanted or wanted in (s.identity.id, s.identity.name)]


@FAULTS.add("POST", "/faults")
async def fault(controller, request):
    body, network, faults = request.json, controller.network, controller.faults
    name = body.get("fault")
    if name == "clear":
        faults.clear()
    elif name == "expire_api_sessions":
        for session in chosen(controller, body, list(network.api_sessions.values())):
            network.end_api_session(session)
    elif name == "revoke_sessions":
        for session in list(network.sessions.values()):
            if body.get("type") in (None, session.kind):
                network.end_session(session)
    elif name == "bearer_seconds":
        controller.tokens.bearer_seconds = body["seconds"]
    elif name == "enrollment_seconds":
        faults.enrollment_seconds = body["seconds"]
    elif name == "session_seconds":
        network.session_seconds = body["seconds"]
    elif name == "restart_router":
        for router in network.routers:
            if body.get("router") in (None, router.name):
                controller.spawn(router.restart(body.get("seconds", 0)))
    elif name == "restart_controller":
        controller.spawn(controller.restart(body.get("seconds", 0), body.get("forget", False)))
    elif name == "answer":
        faults.answers.append(body)
    elif name == "reject_dials":
        faults.dials = [body["text"]] * body.get("count", 1)
    elif name == "send":
        raw = bytes.fromhex(body["hex"])
        if body.get("after_hello"):
            faults.after_hello.append(raw)
        for channel in [c for router in network.routers for c in router.channels]:
            channel.tell_raw(raw)
    elif name == "mute_routers":
        faults.mute = body.get("on", True)
    elif name == "refuse_logins":
        faults.refuse_logins = body.get("on", True)
    elif name == "routers_offline":
        faults.routers_offline = body.get("on", True)
    elif name == "no_routers":
        faults.no_routers = body.get("on", True)
    elif name == "bind_delay":
        faults.bind_delay = body["seconds"]
    elif name == "skew":
        controller.skew(body["seconds"])
    elif name == "trust_also":
        controller.trust_also(body["pem"])
    else:
        raise Refusal(400, "NO_SUCH_FAULT", f"no fault {name!r}")
    return Answer.of({"data": {}})
