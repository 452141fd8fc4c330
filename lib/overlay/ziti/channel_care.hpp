// What all channels of a network have in common: how they are made, what is known of them, and how
// they end when nobody needs them any more.
//
// Threads: a RouterBook any thread; a ChannelGauge and retire() the channel's loop.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "overlay/ziti/channel.hpp"
#include "overlay/ziti/control_desk.hpp"
#include "overlay/ziti/ziti_network.hpp"

namespace simplon::overlay::ziti {

/// One attempt to reach a router: TCP, TLS and Hello, for which the router itself takes up to 5 s.
inline constexpr std::chrono::seconds kConnectDeadline{10};

/// The state of every channel, for ZitiDetails.
class RouterBook {
 public:
  struct Reading {
    std::optional<std::chrono::nanoseconds> latency;
    std::size_t circuits = 0;
  };
  std::uint64_t open(const Router& router);
  void read(std::uint64_t channel, const Reading& reading);
  void close(std::uint64_t channel);
  /// Why its channel was lost, or could not be made. Empty: it works.
  void error(const Router& router, std::string why);

  std::vector<ZitiDetails::RouterInfo> routers() const;

 private:
  struct Line {
    std::string router;  // the key of routers_
    Reading reading;
  };
  struct Known {
    Router router;
    std::string last_error;
  };
  mutable std::mutex mutex_;
  std::uint64_t next_ = 1;
  std::map<std::uint64_t, Line> channels_;
  std::map<std::string, Known> routers_;
};

/// Reads a channel into the book now and then; it counts as up while this lives.
class ChannelGauge {
 public:
  ChannelGauge(net::Loop& loop, std::shared_ptr<RouterBook> book, std::shared_ptr<Channel> channel);
  ~ChannelGauge();
  ChannelGauge(const ChannelGauge&) = delete;
  ChannelGauge& operator=(const ChannelGauge&) = delete;
  void read();

 private:
  const std::shared_ptr<RouterBook> book_;
  const std::shared_ptr<Channel> channel_;
  const std::uint64_t number_;
  net::Loop& loop_;
  net::Timer timer_;
};

/// What it takes to make a channel. Immutable, any thread.
struct ChannelMaker {
  std::shared_ptr<const net::TlsContext> tls;
  std::string client_name;
  std::shared_ptr<MemoryBudget> budget;
  std::shared_ptr<RouterBook> book;
  std::shared_ptr<ControlDesk> desk;
  /// Whoever holds it keeps the network from logging out, which would end every stream.
  std::weak_ptr<const void> logged_in;

  /// A login that the router does not accept is told to the desk.
  static net::awaitable<std::expected<std::shared_ptr<Channel>, EdgeError>> connect(
      std::shared_ptr<const ChannelMaker> self, net::Loop& loop, Router router, RouterLogin login);
};

/// Closes it once it has no circuit any more, and stays logged in until then. Not awaited by
/// anybody.
void retire(net::Loop& loop, std::shared_ptr<Channel> channel, const ChannelMaker& maker);

/// Shows it a renewed token.
void renew(net::Loop& loop, std::shared_ptr<Channel> channel, std::string token);

}  // namespace simplon::overlay::ziti
