// The whole engine over memory streams: the input is what a client and its origins do, in turn. It
// never crashes, and when both sides are gone nothing of it is left.
//
// An input is a series of steps: a byte whose low three bits say what happens and whose others say
// how much; `client` and `origin` are followed by that many times eight bytes to send.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <vector>

#include "http/engine.hpp"
#include "net/buffer_pool.hpp"
#include "net/memory.hpp"

namespace {

using namespace simplon;

void require(bool holds) {
  if (!holds) std::abort();
}

class FuzzEnds final : public http::Ends {
 public:
  std::expected<std::string, base::Failure> route(std::string_view host) override {
    if (host == "unknown") {
      return std::unexpected(
          base::Failure{base::Hop::frontend, make_error_code(base::Errc::no_such_service), {}});
    }
    return std::string(host);
  }
  net::awaitable<std::expected<http::Upstream, base::Failure>> connect(net::Loop& loop,
                                                                       std::string route,
                                                                       std::string, bool fresh,
                                                                       net::TimePoint) override {
    if (route == "down") {
      co_return std::unexpected(
          base::Failure{base::Hop::share, make_error_code(base::Errc::target_refused), {}});
    }
    if (!fresh && !pool.empty()) {
      auto pooled = std::move(pool.back());
      pool.pop_back();
      pooled.reused = true;
      co_return pooled;
    }
    auto [ours, theirs] = net::make_memory_pair(loop, 512);
    origins.push_back(theirs);
    co_return http::Upstream{.stream = ours, .authority = "origin"};
  }
  net::awaitable<std::expected<http::Upstream, base::Failure>> connect_http2(
      net::Loop& loop, std::string, std::string first, net::TimePoint deadline) override {
    if (first.size() % 2 == 1) {
      co_return std::unexpected(
          base::Failure{base::Hop::share, make_error_code(base::Errc::other_version), first});
    }
    auto [ours, theirs] = net::make_memory_pair(loop, 512);
    origins.push_back(theirs);
    http::Upstream upstream{.stream = ours};
    if (const auto sent = co_await begin_http2(upstream, std::move(first), deadline); !sent) {
      co_return std::unexpected(base::Failure{base::Hop::target, sent.error(), {}});
    }
    co_return upstream;
  }
  void release(const std::string&, http::Upstream upstream) override {
    pool.push_back(std::move(upstream));
  }

  std::vector<http::Upstream> pool;
  std::vector<net::StreamPtr> origins;
};

net::awaitable<void> serve_and_tell(net::StreamPtr client, std::shared_ptr<FuzzEnds> ends,
                                    std::shared_ptr<http::Drain> drain,
                                    std::shared_ptr<bool> ended) {
  auto policy = std::make_shared<http::Policy>();
  http::Client who{.forwarding = http::Forwarding::append, .address = "::1", .peer = {}};
  co_await http::serve(client, ends, policy, who, "id", drain);
  *ended = true;
}

// Takes what has come, as a peer that reads does.
void read_all(net::Stream& stream) {
  std::array<std::byte, 4096> scrap;
  for (;;) {
    const auto got = stream.try_read(scrap);
    if (!got || *got == 0) return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  {
    base::ManualClock clock;
    net::Loop loop(clock);
    const auto ends = std::make_shared<FuzzEnds>();
    const auto drain = std::make_shared<http::Drain>();
    const auto ended = std::make_shared<bool>(false);
    auto [client, served] = net::make_memory_pair(loop, 512);
    net::spawn(loop, "serve", serve_and_tell(std::move(served), ends, drain, ended));

    const auto settle = [&loop] {
      while (loop.poll() != 0) {
      }
    };
    settle();
    std::span<const std::uint8_t> in(data, size);
    while (!in.empty()) {
      const std::uint8_t step = in.front();
      in = in.subspan(1);
      net::Stream& origin = ends->origins.empty() ? *client : *ends->origins.back();
      switch (step & 7U) {
        case 0:
        case 1: {
          const auto bytes =
              in.subspan(0, std::min<std::size_t>(in.size(), (step >> 3U) * 8U + 8U));
          in = in.subspan(bytes.size());
          net::Stream& speaker = (step & 1U) == 0 ? *client : origin;
          [[maybe_unused]] const auto taken = speaker.try_write(std::as_bytes(bytes));
          break;
        }
        case 2:
          client->shutdown_send();
          break;
        case 3:
          origin.shutdown_send();
          break;
        case 4:
          origin.reset();
          break;
        case 5:
          clock.advance(std::chrono::seconds(1U << (step >> 3U & 7U)));
          break;
        case 6:
          drain->request();
          break;
        case 7:
          client->reset();
          break;
      }
      settle();
      read_all(*client);
      read_all(origin);
      settle();
    }
    client->reset();
    for (const auto& origin : ends->origins) {
      origin->reset();
    }
    settle();
    clock.advance(std::chrono::hours(1));
    settle();
    require(*ended);
  }
  require(net::pooled_buffers_in_use() == 0);
  return 0;
}
