"""The server that the suite's client tests: the suite's own, on a free port. For Python 2.7.

It echoes, and takes permessage-deflate where it is offered. It must not differ from itself between
runs. Others that were tried answer in a task of their own, or abort the connection on a protocol
error: whether an answer still leaves before that depends on how the bytes before it were cut into
segments, which is nobody's promise.
"""

import sys

from autobahntestsuite.testee import TesteeServerFactory
from twisted.internet import reactor

factory = TesteeServerFactory(u"ws://127.0.0.1:0")
port = reactor.listenTCP(0, factory, interface="127.0.0.1")
sys.stdout.write("listening on 127.0.0.1:%d\n" % port.getHost().port)
sys.stdout.flush()
reactor.run()
