#include "net/resolve.hpp"

#include <atomic>
#include <cctype>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>

#include <netdb.h>

namespace simplon::net {
namespace {

using Addresses = std::vector<SocketAddress>;

// getaddrinfo can hang for as long as the name servers do: each lookup has a thread of its own, and
// there are at most this many.
constexpr int kMaxLookups = 64;

std::atomic<int>& lookups() {
  static std::atomic<int> count{0};
  return count;
}

bool is_localhost(std::string_view host) {
  std::string lower(host);
  for (char& c : lower) {
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  if (lower.ends_with('.')) {
    lower.pop_back();
  }
  return lower.empty() || lower == "localhost" || lower.ends_with(".localhost");
}

Result<Addresses> look_up(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) {
    return base::fail(Errc::name_not_found);
  }
  Addresses out;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    out.emplace_back(one->ai_addr, one->ai_addrlen);
  }
  freeaddrinfo(found);
  if (out.empty()) {
    return base::fail(Errc::name_not_found);
  }
  return out;
}

struct Lookup {
  explicit Lookup(Loop& loop) : done(loop) {}
  Gate done;
  Result<Addresses> result = base::fail(Errc::timed_out);
};

}  // namespace

Result<Addresses> resolve_here(std::string_view host, std::uint16_t port) {
  if (const auto literal = SocketAddress::from_ip(host, port)) {
    return Addresses{*literal};
  }
  if (is_localhost(host)) {
    return Addresses{*SocketAddress::from_ip("127.0.0.1", port),
                     *SocketAddress::from_ip("::1", port)};
  }
  return base::fail(Errc::name_not_found);
}

awaitable<Result<Addresses>> resolve(Loop& loop, std::string host, std::uint16_t port,
                                     TimePoint deadline) {
  if (auto known = resolve_here(host, port)) {
    co_return known;
  }
  if (lookups().fetch_add(1) >= kMaxLookups) {
    lookups().fetch_sub(1);
    co_return base::fail(Errc::limit_exceeded);
  }
  const auto lookup = std::make_shared<Lookup>(loop);
  // The thread holds nothing of the loop: both the coroutine and the loop may be gone when the name
  // service answers.
  auto answer = [weak = std::weak_ptr(lookup), poster = loop.poster(), host = std::move(host),
                 port]() mutable {
    auto result = look_up(host, port);
    lookups().fetch_sub(1);
    poster.post([weak = std::move(weak), result = std::move(result)]() mutable {
      if (const auto waiting = weak.lock()) {
        waiting->result = std::move(result);
        waiting->done.open();
      }
    });
  };
  try {
    std::thread(std::move(answer)).detach();
  } catch (const std::system_error&) {
    lookups().fetch_sub(1);
    co_return base::fail(Errc::limit_exceeded);
  }
  co_await lookup->done.wait_until(deadline);
  co_return std::move(lookup->result);
}

}  // namespace simplon::net
