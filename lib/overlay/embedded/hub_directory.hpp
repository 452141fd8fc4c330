// Who is online and hosts what: the hub's soft state, forgotten with each session.
//
// Several instances (processes) may be online under one identity; each comes and leaves by itself.
// Ownership: an Instance is its session's; the directory points to it until leave().
// Threads: the control loop.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace simplon::overlay {

inline constexpr std::size_t kInstanceBytes = 16;
/// Hosted by one instance at once.
inline constexpr std::size_t kMaxServicesOfInstance = 1024;

class HubDirectory {
 public:
  class Instance {
   public:
    /// Tells the instance that `dialer` waits at the relay. False: it cannot be told.
    virtual bool offer(const std::string& ticket, const Instance& dialer) = 0;

    std::string member;  ///< its name
    std::string spki;
    std::string id;  ///< kInstanceBytes, chosen by the instance; empty: not online yet
    std::set<std::string, std::less<>> services;

   protected:
    ~Instance() = default;
  };

  /// False: another instance has this id.
  bool join(Instance& instance);
  /// Withdraws everything of the instance. Idempotent.
  void leave(Instance& instance);

  /// False: it hosts too many already.
  bool host(Instance& instance, std::string_view service);
  void withdraw(Instance& instance, std::string_view service);

  Instance* find(std::string_view id) const;
  /// In an order of the directory's own.
  std::vector<const Instance*> hosts(std::string_view service) const;

  std::size_t instances_of(std::string_view spki) const;
  /// Members with at least one instance.
  std::size_t members() const { return members_.size(); }

 private:
  std::map<std::string, Instance*, std::less<>> instances_;
  std::map<std::string, std::set<Instance*>, std::less<>> hosts_;
  std::map<std::string, std::size_t, std::less<>> members_;  // instances by SPKI hash
};

}  // namespace simplon::overlay
