// The services that one member hosts, and what happens to a stream that somebody opened to one: the
// same for every overlay whose streams begin with an Open (open.hpp).
//
// Threads: any. A handler may still be running on another loop while its service is removed; it and
// what it holds live until it returns.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "overlay/network.hpp"

namespace simplon::overlay {

class Services {
 public:
  using Handler = std::function<void(std::unique_ptr<Inbound>)>;
  struct Service {
    bool allow_frontends = false;
    Handler handler;
  };

  /// False if the name is taken.
  bool add(const std::string& name, Service service);
  void remove(std::string_view name);
  /// The member leaves: hosts nothing any more.
  void clear();
  std::shared_ptr<const Service> find(std::string_view name) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const Service>, std::less<>> services_;
};

/// Reads the open of a fresh stream, checks it, and hands it to the service's handler or refuses
/// it. On the stream's loop; ends by itself within kOpenDeadline.
net::awaitable<void> receive(std::shared_ptr<const Services> services, net::StreamPtr stream,
                             Identity from);

/// Opens a stream to one of these services from within this process: a pair in memory with the same
/// open, checks and status as any other. On `loop`, where the stream arrives, too.
std::expected<Dialed, Refusal> open_local(std::shared_ptr<const Services> services, net::Loop& loop,
                                          const DialOptions& options, Identity from);

}  // namespace simplon::overlay
