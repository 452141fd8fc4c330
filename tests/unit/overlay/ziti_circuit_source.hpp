// Circuits of an OpenZiti fabric for the stream suite, encrypted or plain, each end on a channel of
// its own. Included by the file of this binary that has the suite.
#pragma once

#include "unit/net/stream_suite.hpp"
#include "unit/overlay/ziti_channel_pair.hpp"

namespace simplon::overlay::ziti::test {

class CircuitSource final : public net::test::StreamSource {
 public:
  CircuitSource(net::Loop& loop, bool encrypted)
      : circuits_(loop, encrypted), encrypted_(encrypted) {}

  net::test::StreamPair connect(net::Loop&) override {
    circuits_.bind(encrypted_);
    auto pair = circuits_.connect(encrypted_);
    // Alone on its channel a circuit may be left unread for as long as its reader likes.
    circuits_.binding->close();
    net::test::settle(circuits_.loop);
    return pair;
  }

 private:
  Circuits circuits_;
  const bool encrypted_;
};

inline net::test::StreamKind circuit_kind(std::string name, bool encrypted) {
  return {.name = std::move(name),
          .make = [encrypted](
                      net::Loop& loop) { return std::make_unique<CircuitSource>(loop, encrypted); },
          .holds_at_most = 16U * 1024 * 1024};
}

}  // namespace simplon::overlay::ziti::test
