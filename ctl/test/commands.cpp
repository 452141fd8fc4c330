// The tree of "simplonctl test".
#include <CLI/CLI.hpp>

#include "ctl/cli.hpp"

namespace simplon::ctl {

void add_test_commands(CLI::App& app, Context& context) {
  (void)app;
  (void)context;
}

}  // namespace simplon::ctl
