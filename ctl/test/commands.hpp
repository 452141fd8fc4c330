// The tree of "simplonctl test", and what its tools' command lines have in common.
#pragma once

#include <string>

#include "ctl/cli.hpp"
#include "net/endpoint.hpp"

namespace simplon::ctl {

void add_endpoint(CLI::App& app, Context& context);
void add_websocket(CLI::App& app, Context& context);
void add_proxy(CLI::App& app, Context& context);

/// The value of --listen.
Answer<net::Endpoint> listen_endpoint(const std::string& typed);

}  // namespace simplon::ctl
