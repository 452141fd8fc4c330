"""Tokens: the legacy ones are only names; the others are signed, and say whose they are and until when."""

import time

from store import Network, new_id

BEARER_SECONDS = 1800


class Tokens:
    """`like` is the version whose ways are followed: 1.6 (opaque), 2.0 (signed), 3.0 (no legacy login)."""

    def __init__(self, network: Network, authority, like):
        self._network, self._authority = network, authority
        self.version = {"1.6": "v1.6.20", "2.0": "v2.0.3", "3.0": "v3.0.0"}[like]
        self.modern = like != "1.6"
        self.legacy = like != "3.0"
        self.bearer_seconds = BEARER_SECONDS

    # API sessions ----------------------------------------------------------------------------

    def bearer(self, session):
        """An access token of an API session."""
        now = time.time()
        return self._authority.sign(
            {
                "sub": session.identity.id,
                "z_asid": session.id,
                "z_cfs": [session.fingerprint],
                "z_t": "a",
                "iss": "stand-in",
                "jti": new_id(),
                "iat": int(now),
                "exp": now + self.bearer_seconds,
            }
        )

    def api_session(self, token):
        """Whose token it is, legacy or bearer; None for any other."""
        if token.count(".") != 2:
            session = self._network.api_session(token)
            return session if session is not None and not session.oidc else None
        try:
            claims = self._authority.claims(token)
        except ValueError:
            return None
        if claims.get("exp", 0) < time.time() or claims.get("z_t") != "a":
            return None
        sessions = self._network.api_sessions.values()
        return next((s for s in sessions if s.oidc and s.id == claims.get("z_asid")), None)

    def token_expires(self, token):
        """When a bearer token runs out; None for a legacy one, which the controller ends."""
        return self._authority.claims(token)["exp"] if token.count(".") == 2 else None

    # Service sessions ------------------------------------------------------------------------

    def issue(self, session):
        """Makes the session's newest token."""
        session.token = session.id
        if self.modern:
            claims = {"z_sid": session.id, "z_t": "s", "sub": session.service.id, "jti": session.id, "iat": time.time()}
            claims |= {"z_asid": session.api_session.id, "z_st": session.kind, "z_iid": session.api_session.identity.id}
            session.token = self._authority.sign(claims)
        return session.token

    def session(self, token):
        """The service session, or None; ValueError for a token that is none."""
        if not self.modern:
            return self._network.session(token)
        claims = self._authority.claims(token)
        if claims.get("z_t") != "s":
            raise ValueError("token has invalid claims")
        return self._network.session(claims["z_sid"])
