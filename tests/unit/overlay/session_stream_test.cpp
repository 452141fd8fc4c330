// The stream suite over what overlays make of a connection: streams of a session (bare, over TLS,
// and opened to a service), and circuits of an OpenZiti fabric.
#include "net/memory.hpp"
#include "net/tls.hpp"
#include "overlay/embedded/open.hpp"
#include "overlay/embedded/session.hpp"
#include "support/certificates.hpp"
#include "unit/net/stream_suite.hpp"
#include "unit/overlay/ziti_circuit_source.hpp"

namespace simplon::net::test {
namespace {

using overlay::Session;
using overlay::SessionPtr;
using overlay::SessionRole;

StreamPair memory(Loop& loop) { return make_memory_pair(loop); }

StreamPair tls_over_memory(Loop& loop) {
  const simplon::test::Authority authority;
  const auto shown = authority.issue("server");
  const auto server = TlsContext::make({.role = TlsRole::server,
                                        .certificate_chain = shown.chain,
                                        .private_key = shown.private_key});
  const auto client = TlsContext::make({.trust_roots = authority.root()});
  auto [here, there] = make_memory_pair(loop);
  const TimePoint deadline = loop.now() + std::chrono::seconds(5);
  const auto accepted = start(loop, tls_accept(there, server.value(), deadline, nullptr));
  const auto connected = run(loop, tls_connect(here, client.value(), "", deadline, nullptr));
  run_until(loop, [&] { return accepted->has_value(); });
  return {connected.value(), accepted->value().value()};
}

class SessionSource : public StreamSource {
 public:
  explicit SessionSource(StreamPair (*transport)(Loop&)) : transport_(transport) {}

  StreamPair connect(Loop& loop) override {
    auto [near, far] = transport_(loop);
    StreamPtr accepted;
    client_ = Session::start(near, SessionRole::client, {}, {});
    server_ =
        Session::start(far, SessionRole::server, {},
                       {.inbound = [&accepted](StreamPtr stream) { accepted = std::move(stream); },
                        .ended = nullptr});
    auto opened = client_->open_stream().value();
    run_until(loop, [&] { return accepted != nullptr; });
    return {opened, accepted};
  }

 private:
  StreamPair (*transport_)(Loop&);
  SessionPtr client_;
  SessionPtr server_;
};

class OpenedSource final : public SessionSource {
 public:
  using SessionSource::SessionSource;

  StreamPair connect(Loop& loop) override {
    auto [near, far] = SessionSource::connect(loop);
    const auto opened = overlay::start_open(near, {.service = "demo"}).value();
    auto request = run(loop, overlay::read_open(far, loop.now() + overlay::kOpenDeadline)).value();
    overlay::make_inbound(far, std::move(request), {})->accept();
    settle(loop);
    return {opened.stream, far};
  }
};

template <class Source>
StreamKind kind(std::string name, StreamPair (*transport)(Loop&)) {
  return {.name = std::move(name),
          .make = [transport](Loop&) { return std::make_unique<Source>(transport); },
          .holds_at_most = 4U * 1024 * 1024};
}

INSTANTIATE_TEST_SUITE_P(Session, StreamSuite,
                         testing::Values(kind<SessionSource>("session", memory),
                                         kind<SessionSource>("session_over_tls", tls_over_memory),
                                         kind<OpenedSource>("opened", memory)),
                         name_of_kind);
INSTANTIATE_TEST_SUITE_P(Ziti, StreamSuite,
                         testing::Values(overlay::ziti::test::circuit_kind("circuit", true),
                                         overlay::ziti::test::circuit_kind("circuit_plain", false)),
                         name_of_kind);

}  // namespace
}  // namespace simplon::net::test
