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

}  // namespace simplon::ctl
