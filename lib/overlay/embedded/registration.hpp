// One service name that this member hosts, kept registered at the hub as long as it is wanted.
//
// Ownership: its listener, and the network that tells it of the link. Threads: the control loop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "overlay/embedded/control_link.hpp"
#include "overlay/services.hpp"

namespace simplon::overlay {

/// What the hub did not grant is asked for again: a name may have been released.
inline constexpr std::chrono::seconds kRegisterAgain{30};

class Registration final : public std::enable_shared_from_this<Registration> {
 public:
  Registration(net::Loop& control, std::shared_ptr<ControlLink> link,
               std::shared_ptr<Services> services, std::string name, Services::Service service);

  const std::string& name() const { return name_; }
  const LinkStatus& status() const { return status_; }
  void on_change(std::function<void()> changed) { changed_ = std::move(changed); }

  /// The first time; false: this member hosts the name already.
  bool offer();
  /// Asks the hub for the name. The failure, if it is not ours to have.
  static net::awaitable<std::optional<base::Failure>> announce(std::shared_ptr<Registration> self);
  /// The link came up: announces in the background.
  void link_up();
  void link_down(const std::string& why);
  /// For good: the name is not hosted here any more. No callback is called after it. Idempotent.
  void withdraw();

 private:
  static net::awaitable<void> announce_later(std::shared_ptr<Registration> self);
  void become(LinkState state, std::string error = {});

  net::Loop& control_;
  const std::shared_ptr<ControlLink> link_;
  const std::shared_ptr<Services> services_;
  const std::string name_;
  const Services::Service service_;
  LinkStatus status_;
  std::function<void()> changed_;
  bool withdrawn_ = false;
  std::uint64_t attempt_ = 0;  // tells a late answer from the one that counts
  net::Timer again_;
};

}  // namespace simplon::overlay
