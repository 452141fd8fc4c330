"""Tunnels with options, made by a test and deleted after it."""


class Paths:
    """Tunnels of the standing pair: shares on beta, entries on alpha."""

    def __init__(self, pair, origin):
        self.alpha, self.beta = pair
        self.origin = origin
        self._made = []

    def share(self, *options, name="made", target=None):
        self.beta.share(target or self.origin.url, name, *options)
        self._made.append((self.beta, name))

    def access(self, *options, service="made"):
        self._made.append((self.alpha, f"{service}-access"))
        return self.alpha.access(service, "--name", f"{service}-access", *options)

    def frontend(self, *options):
        self._made.append((self.alpha, "made-frontend"))
        return self.alpha.frontend("made.test", "--name", "made-frontend", *options)

    def delete(self):
        for agent, name in reversed(self._made):
            agent.ctl("delete", name).ok()
