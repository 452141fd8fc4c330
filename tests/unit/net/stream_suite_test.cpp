// The stream suite over the kinds of this layer, and its deadline rules over a stream that breaks
// them.
#include "unit/net/stream_suite.hpp"

#include <unistd.h>

#include "net/memory.hpp"
#include "net/tcp.hpp"
#include "net/tls.hpp"
#include "net/unix.hpp"
#include "support/certificates.hpp"
#include "support/temporary_folder.hpp"

namespace simplon::net::test {
namespace {

class MemorySource final : public StreamSource {
 public:
  StreamPair connect(Loop& loop) override { return make_memory_pair(loop); }
};

class TcpSource final : public StreamSource {
 public:
  StreamPair connect(Loop& loop) override {
    acceptor_ = listen_tcp(loop, {.host = "127.0.0.1", .port = 0}).value();
    StreamPtr accepted;
    acceptor_->start(
        [&](Accepted got) { accepted = make_socket_stream(loop, std::move(got.socket)); });
    auto connected = run(loop, connect_tcp(loop, "127.0.0.1", acceptor_->endpoint().port,
                                           loop.now() + std::chrono::seconds(5)));
    run_until(loop, [&] { return accepted != nullptr; });
    return {connected.value(), accepted};
  }

 private:
  std::unique_ptr<Acceptor> acceptor_;
};

class UnixSource final : public StreamSource {
 public:
  StreamPair connect(Loop& loop) override {
    const std::string path = (folder_ / "socket").string();
    acceptor_ = listen_unix(loop, path, 0600).value();
    StreamPtr accepted;
    acceptor_->start(
        [&](Accepted got) { accepted = make_socket_stream(loop, std::move(got.socket)); });
    auto connected = run(loop, connect_unix(loop, path, loop.now() + std::chrono::seconds(5)));
    run_until(loop, [&] { return accepted != nullptr; });
    return {connected.value(), accepted};
  }

 private:
  simplon::test::TemporaryFolder folder_;
  std::unique_ptr<Acceptor> acceptor_;
};

class TlsSource final : public StreamSource {
 public:
  explicit TlsSource(std::unique_ptr<StreamSource> transport) : transport_(std::move(transport)) {}

  StreamPair connect(Loop& loop) override {
    const simplon::test::Authority authority;
    const auto shown = authority.issue("server");
    const auto server = TlsContext::make({.role = TlsRole::server,
                                          .certificate_chain = shown.chain,
                                          .private_key = shown.private_key});
    const auto client = TlsContext::make({.trust_roots = authority.root()});
    auto [here, there] = transport_->connect(loop);
    const TimePoint deadline = loop.now() + std::chrono::seconds(5);
    const auto accepted = start(loop, tls_accept(there, server.value(), deadline, nullptr));
    auto connected = run(loop, tls_connect(here, client.value(), "", deadline, nullptr));
    run_until(loop, [&] { return accepted->has_value(); });
    return {connected.value(), (*accepted)->value()};
  }

 private:
  std::unique_ptr<StreamSource> transport_;
};

template <class Source>
std::unique_ptr<StreamSource> make(Loop&) {
  return std::make_unique<Source>();
}
template <class Transport>
std::unique_ptr<StreamSource> make_tls(Loop&) {
  return std::make_unique<TlsSource>(std::make_unique<Transport>());
}

INSTANTIATE_TEST_SUITE_P(
    Net, StreamSuite,
    testing::Values(StreamKind{.name = "memory",
                               .make = make<MemorySource>,
                               .tells_of_ends = true,
                               .holds_at_most = kMemoryCapacity + 1},
                    StreamKind{.name = "tcp", .make = make<TcpSource>, .tells_of_ends = true},
                    StreamKind{.name = "unix",
                               .make = make<UnixSource>,
                               .every_reset_shows = false,
                               .tells_of_ends = true},
                    StreamKind{.name = "tls_over_memory",
                               .make = make_tls<MemorySource>,
                               .holds_at_most = kMemoryCapacity + 128 * 1024},
                    StreamKind{.name = "tls_over_tcp", .make = make_tls<TcpSource>},
                    StreamKind{.name = "tls_over_unix",
                               .make = make_tls<UnixSource>,
                               .every_reset_shows = false}),
    name_of_kind);

// A deadline is looked at when a wait begins, and no more: the bug that the rules are there for.
class StreamThatIgnoresMovedDeadlines final : public Stream, private Waiter {
 public:
  explicit StreamThatIgnoresMovedDeadlines(StreamPtr inner)
      : Stream(inner->loop()), inner_(std::move(inner)) {}
  ~StreamThatIgnoresMovedDeadlines() override { inner_->cancel_wait(Event::readable); }

  Result<std::size_t> try_read(std::span<std::byte> into) override {
    return inner_->try_read(into);
  }
  Result<std::size_t> try_write(std::span<const Buffer> from) override {
    return inner_->try_write(from);
  }
  using Stream::try_write;
  void set_deadline(Direction direction, TimePoint when) override {
    const bool pending = direction == Direction::receive
                             ? waiting(Event::readable)
                             : waiting(Event::writable) || waiting(Event::flushed);
    if (!pending) {
      Stream::set_deadline(direction, when);
    }
  }
  void shutdown_send() override { inner_->shutdown_send(); }

 protected:
  void start_wait(Event event) override { inner_->wait(event, *this); }
  void stop_wait(Event event) override { inner_->cancel_wait(event); }
  void do_close() override { inner_->close(); }
  void do_reset(std::error_code reason) override { inner_->reset(reason); }

 private:
  void ready(Event event, std::error_code error) override { notify(event, error); }
  StreamPtr inner_;
};

TEST(StreamRules, FailOnAStreamThatIgnoresMovedDeadlines) {
  base::ManualClock clock;
  Loop loop(clock);
  const auto [inner, other] = make_memory_pair(loop);
  for (const Event event : {Event::readable, Event::writable}) {
    const auto broken = std::make_shared<StreamThatIgnoresMovedDeadlines>(inner);
    if (event == Event::writable) {
      fill(*broken);
    }
    // It does nothing else wrong.
    EXPECT_TRUE(deadline_ends_a_wait(clock, *broken, event));
    EXPECT_TRUE(passed_deadline_fails_waits(clock, *broken, event));

    EXPECT_FALSE(deadline_moved_earlier_applies(clock, *broken, event));
    EXPECT_FALSE(deadline_set_later_on_applies(clock, *broken, event));
    EXPECT_FALSE(deadline_moved_later_applies(clock, *broken, event));
    EXPECT_FALSE(deadline_cleared_applies(clock, *broken, event));
  }
}

}  // namespace
}  // namespace simplon::net::test
