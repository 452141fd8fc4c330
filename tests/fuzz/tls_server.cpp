// Whatever a client sends, the handshake ends or waits for more, and the stream can be closed.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "../support/certificates.hpp"
#include "net/memory.hpp"
#include "net/tls.hpp"

namespace {

using namespace simplon::net;

std::shared_ptr<const TlsContext> agent_context() {
  const simplon::test::Authority authority;
  const auto shown = authority.issue("hub");
  return TlsContext::make({.role = TlsRole::server,
                           .certificate_chain = shown.chain,
                           .private_key = shown.private_key,
                           .trust_roots = authority.root(),
                           .protocols = {{.name = "simplon/1", .peer_certificate = true},
                                         {.name = "simplon-enroll/1"}},
                           .protocol_required = true})
      .value();
}

awaitable<void> serve(StreamPtr transport, std::shared_ptr<const TlsContext> context, bool* done) {
  Loop& loop = transport->loop();
  const auto stream =
      co_await tls_accept(transport, context, loop.now() + std::chrono::seconds(5), nullptr);
  *done = true;
  if (stream) {
    std::array<std::byte, 256> into;
    static_cast<void>(co_await read_some(**stream, into));
    (*stream)->close();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto context = agent_context();
  simplon::base::ManualClock clock;
  Loop loop(clock);
  const auto [client, server] = make_memory_pair(loop);
  bool done = false;
  spawn(loop, "server", serve(server, context, &done));
  const auto settle = [&] {
    while (loop.poll() > 0) {
    }
  };
  // In two parts, so that records are cut.
  const Buffer bytes = std::as_bytes(std::span(data, size));
  static_cast<void>(client->try_write(bytes.first(size / 2)));
  settle();
  static_cast<void>(client->try_write(bytes.subspan(size / 2)));
  settle();
  clock.advance(std::chrono::seconds(6));
  settle();
  if (!done) {
    std::abort();
  }
  return 0;
}
