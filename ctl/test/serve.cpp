#include "ctl/test/serve.hpp"

#include <iostream>
#include <utility>

#include <google/protobuf/struct.pb.h>

#include "base/ids.hpp"
#include "ctl/output.hpp"
#include "net/socket.hpp"
#include "net/tcp.hpp"

namespace simplon::ctl {
namespace {

void say_ready(bool json, const std::string& field, const std::string& value,
               const std::string& line) {
  if (json) {
    google::protobuf::Struct out;
    (*out.mutable_fields())[field].set_string_value(value);
    std::cout << to_json(out) << std::flush;
  } else {
    std::cout << line << std::endl;
    std::cerr << "Ctrl-C ends it.\n";
  }
}

// Raw streams are bytes, and our bytes are HTTP: those are served, too.
bool served(overlay::StreamKind kind) { return kind != overlay::StreamKind::control; }

}  // namespace

net::awaitable<Outcome> serve_tcp(net::Loop& loop, net::Endpoint listen, bool json, Serve serve) {
  auto acceptor = net::listen_tcp(loop, listen);
  if (!acceptor) {
    co_return trouble(Exit::failed,
                      "--listen " + net::to_string(listen) + ": " + acceptor.error().message(),
                      acceptor.error() == base::Errc::address_in_use
                          ? "choose another port; 0 takes a free one"
                          : "choose an address of this host, such as 127.0.0.1:0");
  }
  const auto url = "http://" + net::to_string((*acceptor)->endpoint());
  (*acceptor)->start([&loop, serve = std::move(serve)](net::Accepted accepted) {
    serve({net::make_socket_stream(loop, std::move(accepted.socket)), accepted.from.ip(),
           base::new_id()});
  });
  say_ready(json, "url", url, "listening on " + url);
  net::Gate never(loop);
  (void)co_await never.wait_until();
  co_return Outcome{};
}

net::awaitable<Outcome> serve_overlay(net::Loop& loop, NetworkPtr network, std::string service,
                                      bool json, Serve serve) {
  // Called on this one loop, one stream at a time.
  auto take = [serve = std::move(serve)](std::unique_ptr<overlay::Inbound> inbound) {
    if (!served(inbound->kind())) {
      return;  // dropping it refuses it
    }
    Arrived arrived{inbound->stream(), {}, inbound->connection_id()};
    inbound->accept();
    serve(std::move(arrived));
  };
  const auto hosted =
      co_await host(loop, network, service, std::move(take), loop.now() + kOverlayTimeout);
  if (!hosted) {
    co_return trouble(Exit::failed, "overlay: service " + service + ": " + hosted.error(),
                      "if the name belongs to somebody else, choose another with --service");
  }
  say_ready(json, "service", service, "hosting service " + service + " as " + network->self());
  net::Gate never(loop);
  (void)co_await never.wait_until();
  co_return Outcome{};
}

}  // namespace simplon::ctl
