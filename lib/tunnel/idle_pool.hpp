// Idle keep-alive connections to one target, on one loop.
//
// A connection that its other end closes, or on which bytes come that nobody asked for, is dropped
// when that happens; one that idles too long is closed.
// Threads: its loop, except for the destructor of a closed one.
#pragma once

#include <chrono>
#include <list>
#include <memory>

#include "net/stream.hpp"

namespace simplon::tunnel {

/// More idle connections than this are not worth their descriptors: a new one takes a round trip on
/// this host or network.
inline constexpr std::size_t kMaxIdle = 32;
/// Below the keep-alive time of common servers (nginx 75 s, Apache and Node 5 s close first and are
/// noticed).
inline constexpr std::chrono::seconds kMaxIdleTime{60};

class IdlePool {
 public:
  explicit IdlePool(net::Loop& loop) : loop_(loop), sweep_(loop) {}
  ~IdlePool() { close(); }
  IdlePool(const IdlePool&) = delete;
  IdlePool& operator=(const IdlePool&) = delete;

  /// The one used last, or null.
  net::StreamPtr take();
  void put(net::StreamPtr stream);
  /// Closes all; later put()s close at once.
  void close();
  std::size_t size() const { return idle_.size(); }

 private:
  struct Idle final : net::Waiter {
    void ready(net::Event event, std::error_code error) override;
    IdlePool* pool = nullptr;
    net::StreamPtr stream;
    net::TimePoint until;
    std::list<Idle>::iterator self;
  };

  void sweep();
  void arm();

  net::Loop& loop_;
  std::list<Idle> idle_;  // the oldest first
  net::Timer sweep_;
  bool closed_ = false;
};

}  // namespace simplon::tunnel
