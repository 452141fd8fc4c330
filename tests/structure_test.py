#!/usr/bin/env python3
"""structure.py itself: each rule finds its breach, and a clean tree passes."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import structure  # noqa: E402

HEADER = "// What it is.\n#pragma once\n"


class Structure(unittest.TestCase):
    def breaches(self, files):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return [breach for _, _, breach in structure.check_tree(Path(folder))]

    def test_a_clean_tree_has_no_breaches(self):
        self.assertEqual(self.breaches({
            "lib/http/a.hpp": HEADER + '#include "net/stream.hpp"\n#include <boost/beast/http.hpp>\n',
            "ctl/join.cpp": '#include "overlay/embedded/enrollment.hpp"\n#include "simplon/v1/hub.grpc.pb.h"\n',
            "ctl/test/echo.cpp": '#include "tunnel/share.hpp"\n',
        }), [])

    def test_each_rule_finds_its_breach(self):
        for name, text, expected in [
            ("lib/http/a.cpp", '#include "overlay/network.hpp"\n', "layer http may not include"),
            ("lib/base/a.cpp", '#include "net/loop.hpp"\n', "layer base may not include"),
            ("ctl/a.cpp", '#include "tunnel/share.hpp"\n', "layer ctl may not include"),
            ("lib/tunnel/a.cpp", "#include <sqlite3.h>\n", "SQLite"),
            ("lib/http/a.cpp", "#include <openssl/ssl.h>\n", "OpenSSL"),
            ("lib/tunnel/a.cpp", "#include <grpcpp/grpcpp.h>\n", "gRPC"),
            ("lib/tunnel/a.cpp", '#include "simplon/v1/agent.pb.h"\n', "API's messages"),
            ("lib/net/a.cpp", "\n" * 601, "601 lines"),
            ("lib/net/a.hpp", "#pragma once\n", "opens with"),
            ("lib/net/a.hpp", "// What it is.\n", "pragma once"),
            ("lib/net/a.cpp", "co_spawn(x, f(), asio::detached);\n", "net::spawn"),
            ("lib/net/a.cpp", "// TODO: more\n", "unfinished"),
            ("tests/e2e/test_a.py", "time.sleep(1)\n", "does not sleep"),
            ("tests/unit/nowhere/a_test.cpp", "\n", "mirrors the layers"),
        ]:
            with self.subTest(name=name, text=text[:40]):
                found = self.breaches({name: text})
                self.assertTrue(any(expected in breach for breach in found), found)


if __name__ == "__main__":
    unittest.main()
