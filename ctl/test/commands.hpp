// The tree of "simplonctl test", and what its tools' command lines have in common.
#pragma once

#include <optional>
#include <string>

#include "ctl/cli.hpp"
#include "net/endpoint.hpp"

namespace simplon::ctl {

void add_endpoint(CLI::App& app, Context& context);
void add_websocket(CLI::App& app, Context& context);
void add_proxy(CLI::App& app, Context& context);

/// The value of --listen.
Answer<net::Endpoint> listen_endpoint(const std::string& typed);

/// --listen, or --identity and --service: where a tool serves.
struct ServeWords {
  std::string listen;
  std::string identity;
  std::string service;
};
void add_serve_words(CLI::App& command, ServeWords& words);

/// Either of the two.
struct ServeAt {
  std::optional<net::Endpoint> listen;
  std::string service;
};
/// `tool` is named in a trouble.
Answer<ServeAt> serve_at(const ServeWords& words, const std::string& tool);

/// A service's name, typed behind `option`.
Outcome check_service(const std::string& typed, const std::string& option);

}  // namespace simplon::ctl
