// The command line of simplonctl: global options, the tree of commands, and how one is run.
//
// Every command registers itself on its parent and, when it was chosen, leaves what is to be done
// in Context::run; nothing happens while the line is still being parsed.
#pragma once

#include <functional>
#include <string>

#include "ctl/outcome.hpp"

namespace CLI {
class App;
}

namespace simplon::ctl {

struct Context {
  std::string socket;     ///< --socket
  std::string state_dir;  ///< --state-dir
  bool json = false;      ///< -o json
  std::function<Outcome()> run;
};

void add_tunnel_commands(CLI::App& app, Context& context);      // share, access, frontend
void add_resource_commands(CLI::App& app, Context& context);    // list, get, delete
void add_doctor_command(CLI::App& app, Context& context);       // doctor
void add_agent_commands(CLI::App& app, Context& context);       // status, version, log-level
void add_overlay_commands(CLI::App& app, Context& context);     // hub invite, join
void add_membership_commands(CLI::App& app, Context& context);  // overlay add, list, get, remove
void add_identity_commands(CLI::App& app, Context& context);    // identity create
void add_test_commands(CLI::App& app, Context& context);        // test endpoint, websocket, proxy

/// The whole tree; `app` and `context` live as long as it is used.
void build(CLI::App& app, Context& context);

/// Parses, runs, prints; returns the exit code.
int main(int argc, const char* const* argv);

}  // namespace simplon::ctl
