// The shares and accesses that one environment has at its instance, and which of them are in use
// here. Everything of Simplon's own is marked, so that a later run knows it again.
//
// Ownership: shared by the network, its listeners and their coroutines. On the control loop.
// Cancellation: end() closes the client; coroutines look at ended() after every wait.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "base/error.hpp"
#include "overlay/ziti/controller_signal.hpp"
#include "overlay/zrok/zrok_client.hpp"
#include "overlay/zrok/zrok_network.hpp"

namespace simplon::overlay::zrok {

class Shares : public std::enable_shared_from_this<Shares> {
 public:
  using Self = std::shared_ptr<Shares>;
  template <class T>
  using Outcome = std::expected<T, base::Failure>;

  Shares(net::Loop& loop, const Options& options, std::shared_ptr<Client> client);

  /// Releases what earlier runs left, when its time has come.
  void start();
  void end();
  bool ended() const { return ended_; }
  net::Loop& loop() const { return loop_; }
  net::Duration pause(int failures) const;

  /// The share for a service: the one that an earlier run left, or a new one. It is in use from
  /// then on, until let_go(). Failures that may pass have the code link_lost or timed_out.
  static net::awaitable<Outcome<Share>> claim(Self self, ListenOptions wanted,
                                              net::TimePoint deadline);
  /// Not in use any more: given up after a while, unless it is claimed again, or keep() was called.
  void let_go(const std::string& token);
  /// What is let go from now on stays for the next run.
  void keep() { keeping_ = true; }

  /// Access to somebody's share, made once in this run. Who asks for one that was refused just now
  /// gets the same answer, and few are asked for at a time: frontends dial whatever strangers name.
  static net::awaitable<Outcome<bool>> grant(Self self, std::string share, net::TimePoint deadline);
  /// The access turned out to be of no use: the next grant() makes another, but not too often.
  void forget(const std::string& share);

 private:
  struct Granted {
    std::string frontend;  ///< empty: being made
    net::TimePoint since;
    bool useless = false;
  };

  /// Why a share was not granted; holds for a while.
  struct Refused {
    base::Failure failure;
    net::TimePoint until;
  };

  static net::awaitable<Outcome<std::string>> make_access(Self self, std::string share,
                                                          net::TimePoint deadline);
  void refuse(const std::string& share, base::Failure failure);
  static net::awaitable<Outcome<Share>> make(Self self, ListenOptions wanted,
                                             net::TimePoint deadline);
  static net::awaitable<void> give_up_later(Self self, std::string token);
  static net::awaitable<void> give_up(Self self, std::string token);
  static net::awaitable<void> sweep(Self self);
  bool in_use(const std::string& token) const { return used_.contains(token); }
  static base::Failure failure(const ziti::ApiError& error);

  net::Loop& loop_;
  const std::string environment_;
  const std::chrono::milliseconds linger_;
  const std::chrono::milliseconds sweep_after_;
  const std::chrono::milliseconds first_retry_;
  const std::shared_ptr<Client> client_;
  bool ended_ = false;
  bool keeping_ = false;
  bool claiming_ = false;                   // one at a time: two must not take over the same share
  ziti::Signal claimed_;                    // the end of a claim
  ziti::Signal granted_signal_;             // the end of a grant
  std::set<std::string> used_;              // tokens
  std::map<std::string, Granted> granted_;  // by the share's token
  std::map<std::string, Refused> refused_;  // likewise
  std::size_t granting_ = 0;                // calls under way
};

}  // namespace simplon::overlay::zrok
