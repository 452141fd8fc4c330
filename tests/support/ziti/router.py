"""A stand-in edge router: Hello, Connect, Bind, Dial, data, and what ends them (spec §3-§5)."""

import asyncio
import itertools
import json
import time

import frames
from channel import Channel
from circuit import Circuit, End
from frames import Frame, u32
from store import Network, Terminator, new_id
from web import Listener, after

HELLO_SECONDS = 5
# How long a legacy session that the controller may not have told us of yet is waited for.
SESSION_SECONDS = 5.2
WRONG_SESSION_TYPE = 12
UNKNOWN = "unable to get service token either by JWT parsing or id lookup"
ATTEMPTS = 2


class Refused(Exception):
    """The words of a StateClosed reply."""

    def __init__(self, text, circuit=""):
        super().__init__(text)
        self.circuit = circuit


class Router:
    def __init__(self, network: Network, authority, faults, tokens, name):
        self.network, self.authority, self.faults, self.tokens = network, authority, faults, tokens
        self.id, self.name = new_id(), name
        self.online = True
        self.channels = set()
        self._addresses = itertools.count(1)
        self.listener = Listener(self._serve, authority.tls(["ziti-edge"], required=True))
        network.routers.append(self)

    @property
    def address(self):
        return f"tls://127.0.0.1:{self.listener.port}"

    async def start(self):
        await self.listener.start()

    async def restart(self, seconds):
        """All channels are cut; for those seconds nothing listens."""
        self.online = False
        self.listener.stop()
        await after(seconds)
        await self.listener.start()
        self.online = True

    # Channels --------------------------------------------------------------------------------

    async def _serve(self, reader, writer):
        channel = Channel(self, reader, writer)
        try:
            hello = await asyncio.wait_for(frames.read_frame(reader, 16384, 4192), HELLO_SECONDS)
            if self.faults.mute:
                await reader.read()
                return
            if hello.kind != frames.HELLO:
                return
            headers = {
                frames.SUCCESS: b"\1",
                frames.CHANNEL_ID: new_id().encode(),
                frames.ROUTER_ID: self.id.encode(),
                frames.VERSION: json.dumps({"version": self.tokens.version}).encode(),
                frames.CAN_BIND_SUCCESS: b"\1",
            }
            if self.tokens.modern:
                headers[frames.POSTURE] = b"\1"
            channel.greet(hello, headers)
            for raw in self.faults.after_hello:
                channel.tell_raw(raw)
            # The acknowledgement comes first; only then is the token looked at.
            if self.faults.refuse_logins or not await self._admit(channel, hello.text(frames.TOKEN), writer):
                return
            self.channels.add(channel)
            while True:
                await self._dispatch(channel, await frames.read_frame(reader))
        except (frames.Malformed, asyncio.TimeoutError):
            pass
        finally:
            self.channels.discard(channel)
            channel.over()
            channel.abort()

    async def _admit(self, channel, token, writer):
        certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        session = self.tokens.api_session(token)
        if session is None:
            await after(SESSION_SECONDS)
            session = self.tokens.api_session(token)
        if session is None or self.authority.identity_of(certificate) != session.identity.id:
            return False
        channel.api_session = session
        expires = self.tokens.token_expires(token)
        if expires is not None:
            channel.spawn(self._expire(channel, expires))
        return True

    async def _expire(self, channel, expires):
        """Closes the channel when its bearer token has run out and no newer one came."""
        channel.token_expires = expires
        while (left := channel.token_expires - time.time()) > 0:
            await after(left)
        channel.abort()

    async def _dispatch(self, channel, frame):
        kind = frame.kind
        if kind == frames.DATA or kind == frames.STATE_CLOSED:
            await self._conn(channel, frame)
        elif frames.REPLY_FOR in frame.headers and channel.replied(frame):
            pass
        elif kind == frames.CONNECT:
            channel.spawn(self._connect(channel, frame))
        elif kind == frames.BIND:
            channel.spawn(self._bind(channel, frame))
        elif kind == frames.UNBIND:
            channel.spawn(self._unbind(channel, frame))
        elif kind == frames.LATENCY:
            channel.reply(frame, frames.RESULT, {frames.SUCCESS: b"\1"})
        elif kind == frames.UPDATE_TOKEN:
            self._update_token(channel, frame)
        elif kind in (frames.UPDATE_BIND, frames.HEALTH):
            self._update_terminator(channel, frame)
        elif kind == frames.CONNECT_V2:
            pass  # seen on 2.0.3: no reply at all

    async def _conn(self, channel, frame):
        conn = frame.number(frames.CONN)
        end = channel.ends.get(conn)
        if frame.kind == frames.DATA:
            if end is not None:
                await end.push(frame)
        elif end is not None:
            end.closed_by_client()
        else:
            self._end_terminator(channel, conn)

    # Dialing ---------------------------------------------------------------------------------

    async def _connect(self, channel, frame):
        conn = frame.number(frames.CONN)
        try:
            if conn is None:
                raise Refused("connId not set, required")
            session = self._session(channel, frame.body.decode(errors="replace"), "Dial")
            if conn in channel.ends:
                raise Refused(f"message sink with id {conn} already exists")
            end = channel.ends[conn] = End(channel, conn)
            try:
                circuit, headers = await self._create_circuit(session, frame, end)
            except Refused:
                channel.ends.pop(conn, None)
                raise
        except Refused as refused:
            fields = {frames.CIRCUIT: refused.circuit.encode()} if refused.circuit else {}
            channel.reply(frame, frames.STATE_CLOSED, fields, str(refused).encode())
            return
        if end.gone or channel.closed:  # the dialer gave up meanwhile
            circuit.end("close called")
            return
        channel.reply(frame, frames.STATE_CONNECTED, headers)

    def _session(self, channel, token, kind):
        try:
            session = self.tokens.session(token)
        except ValueError as error:
            raise Refused(f"failed to create service token from JWT: {error}") from None
        if session is None or session.api_session is not channel.api_session:
            raise Refused(UNKNOWN if self.tokens.modern else "invalid session")
        if session.kind != kind:
            if kind == "Bind":
                raise Refused(f"rejecting bind, invalid session type. expected Bind, got {session.kind}")
            raise Refused("incorrect session type")
        return session

    async def _create_circuit(self, session, frame, end):
        circuit_id, service = new_id(), session.service
        instance = frame.text(frames.INSTANCE)
        key = frame.headers.get(frames.KEY)
        text = self.faults.take_dial()
        if text is not None:
            raise Refused(text, circuit_id)
        for attempt in range(1, ATTEMPTS + 1):
            found = self.network.candidates(service, instance)
            if not found:
                suffix = f" for instanceId {instance}" if instance else ""
                raise Refused(f"service {service.id} has no terminators{suffix}", circuit_id)
            if service.encrypted and not key:
                text = "encryption required on service, initiator did not send public header"
                raise Refused(text, circuit_id)
            terminator = found[0]
            circuit = Circuit(self.network, circuit_id, session, terminator, end)
            problem = await terminator.router.dial_host(circuit, frame, session.api_session.identity)
            if problem is None:
                headers = {frames.CIRCUIT: circuit_id.encode()}
                if key and terminator.key:
                    headers[frames.KEY] = terminator.key
                return circuit, headers
            terminator.circuits += 1  # the next attempt prefers another
            asyncio.get_running_loop().call_later(10, self._forgive, terminator)
        cause = f"error creating route for [s/{circuit_id}] on [r/{terminator.router.id}] ({problem})"
        raise Refused(f"exceeded maximum [{ATTEMPTS}] retries creating circuit [c/{circuit_id}] ({cause})", circuit_id)

    @staticmethod
    def _forgive(terminator):
        terminator.circuits -= 1

    async def dial_host(self, circuit, request, identity):
        """None once the host accepted; else why it did not."""
        terminator = circuit.terminator
        channel = terminator.channel
        headers = {frames.CONN: u32(terminator.conn), frames.CIRCUIT: circuit.id.encode()}
        for copied in (frames.KEY, frames.CALLER, frames.APP_DATA, frames.MARKER):
            if copied in request.headers:
                headers[copied] = request.headers[copied]
        if self.tokens.modern:
            headers |= {frames.DIALER_ID: identity.id.encode(), frames.DIALER_NAME: identity.name.encode()}
        conn = channel.router_conn()
        host = End(channel, conn)
        if terminator.router_conn:
            headers[frames.ROUTER_CONN] = u32(conn)
            channel.ends[conn] = host
        reply = await channel.request(Frame(frames.DIAL, headers, terminator.token))
        if reply is None or reply.kind != frames.DIAL_SUCCESS or len(reply.body) != 4 or channel.closed:
            channel.ends.pop(conn, None)
            if reply is None:
                gone = Frame(frames.STATE_CLOSED, {frames.CONN: u32(conn)}, b"timeout waiting for message reply")
                channel.tell(gone)
                return "timeout waiting for message reply: context deadline exceeded"
            words = reply.body.decode(errors="replace") if reply.kind == frames.DIAL_FAILED else "invalid dial response"
            address = f"{terminator.id}"
            return f"failed to establish connection with terminator address {address}. error: ({words})"
        if not terminator.router_conn:  # the older accept: the host chose the id and waits for StateConnected
            host.conn = int.from_bytes(reply.body, "little")
            channel.ends[host.conn] = host
            channel.reply(reply, frames.STATE_CONNECTED, {frames.CONN: u32(host.conn)})
        circuit.connect(host)
        return None

    # Hosting ---------------------------------------------------------------------------------

    async def _bind(self, channel, frame):
        conn = frame.number(frames.CONN)
        try:
            session = self._session(channel, frame.body.decode(errors="replace"), "Bind")
            key = frame.headers.get(frames.KEY, b"")
            if conn is None:
                raise Refused("connId not set, required")
        except Refused as refused:
            channel.reply(frame, frames.STATE_CLOSED, body=str(refused).encode())
            return
        listener = frame.headers.get(frames.LISTENER, b"")
        cost = int.from_bytes(frame.headers.get(frames.COST, b""), "little")
        precedence = min(2, int.from_bytes(frame.headers.get(frames.PRECEDENCE, b""), "little"))
        terminator = Terminator(
            session.service, session, self, channel, conn, frame.text(frames.INSTANCE), listener, cost, precedence,
            key, frame.truth(frames.ROUTER_CONN), frame.body,
        )
        if not self._replace(channel, terminator):
            return
        connected = {frames.ROUTER_CONN: b"\1"} if terminator.router_conn else {}
        channel.reply(frame, frames.STATE_CONNECTED, connected)
        channel.terminators[conn] = terminator
        if frame.truth(frames.CAN_INSPECT):
            channel.spawn(channel.request(Frame(frames.INSPECT, {frames.CONN: u32(conn)}), 30))
        await after(self.faults.bind_delay)
        if channel.terminators.get(conn) is not terminator:
            return
        self.network.terminators[terminator.id] = terminator
        if frame.truth(frames.CAN_BIND_SUCCESS):
            channel.tell(Frame(frames.BIND_SUCCESS, {frames.CONN: u32(conn)}), urgent=True)

    def _replace(self, channel, terminator):
        """A second Bind for a listener id ends the first; without an id, in silence."""
        for older in [t for router in self.network.routers for c in router.channels for t in c.terminators.values()]:
            if older.router is not self or older.listener != terminator.listener:
                continue
            if not terminator.listener and (older.session, older.instance) != (terminator.session, terminator.instance):
                continue
            if older.channel is channel and older.conn >= terminator.conn:
                return False
            self._end_terminator(older.channel, older.conn)
            if terminator.listener:
                text = b"found a newer terminator for listener id"
                older.channel.tell(Frame(frames.STATE_CLOSED, {frames.CONN: u32(older.conn)}, text))
        return True

    async def _unbind(self, channel, frame):
        self._end_terminator(channel, frame.number(frames.CONN))

    def _update_terminator(self, channel, frame):
        terminator = channel.terminators.get(frame.number(frames.CONN))
        if terminator is None:
            return
        if frames.COST in frame.headers:
            terminator.cost = int.from_bytes(frame.headers[frames.COST], "little")
        if frames.PRECEDENCE in frame.headers:
            terminator.precedence = min(2, int.from_bytes(frame.headers[frames.PRECEDENCE], "little"))
        if frames.HEALTHY in frame.headers:
            terminator.healthy = frame.truth(frames.HEALTHY)

    def _end_terminator(self, channel, conn):
        terminator = channel.terminators.pop(conn, None)
        if terminator is not None:
            self.network.terminators.pop(terminator.id, None)
        return terminator

    # Tokens, and what a revocation ends ------------------------------------------------------

    def _update_token(self, channel, frame):
        session = channel.api_session
        try:
            if not session.oidc:
                raise ValueError("message failed: session is not a JWT")
            text = frame.body.decode(errors="replace")
            if self.tokens.api_session(text) is not session:
                raise ValueError("JWT validation failed: token does not match the current API session")
        except ValueError as error:
            detail = json.dumps({"message": str(error), "code": WRONG_SESSION_TYPE, "retryHint": 3}).encode()
            fields = {frames.CODE: u32(WRONG_SESSION_TYPE), frames.ERROR: detail}
            channel.reply(frame, frames.TOKEN_REFUSED, fields, str(error).encode())
            asyncio.get_running_loop().call_later(0.05, channel.abort)
            return
        for other in self.channels:
            if other.api_session is session:
                other.token_expires = self.tokens.token_expires(text)
        channel.reply(frame, frames.TOKEN_UPDATED)

    def drop_api_session(self, session):
        for channel in [c for c in self.channels if c.api_session is session]:
            channel.abort()

    def drop_session(self, session):
        for circuit in [c for c in self.network.circuits.values() if c.session is session]:
            circuit.end("session closed")
        for channel in list(self.channels):
            for conn, terminator in list(channel.terminators.items()):
                if terminator.session is session:
                    self._end_terminator(channel, conn)
                    channel.tell(Frame(frames.STATE_CLOSED, {frames.CONN: u32(conn)}, b"session ended"))
