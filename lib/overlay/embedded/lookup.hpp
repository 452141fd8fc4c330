// What the loops of sessions ask the hub: who hosts a service, and a ticket to meet one of them.
//
// Threads: any loop may ask; the questions run on the control loop, the answers come back to the
// loop that asked. Immutable; shared. Cancellation: a question that nobody waits for any more runs
// to its own end.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "net/endpoint.hpp"
#include "overlay/embedded/control_link.hpp"

namespace simplon::overlay {

/// One process that hosts a service.
struct Host {
  std::string member;
  std::string instance;  ///< 16 bytes
  std::string spki;      ///< 32 bytes; one of the claim's owners'
};

/// An invitation to meet at the hub.
struct Meeting {
  net::Endpoint hub;
  std::string ticket;
};

class Lookup {
 public:
  Lookup(net::Loop& control, std::shared_ptr<ControlLink> link,
         std::shared_ptr<const Member> member)
      : control_(control), link_(std::move(link)), member_(std::move(member)) {}

  /// The processes other than this one that host it by right, in random order; never empty.
  /// no_such_service, not_hosted, not_permitted (only by others than its owners), link_lost,
  /// timed_out.
  net::awaitable<std::expected<std::vector<Host>, base::Failure>> resolve(
      net::Loop& loop, std::string service, net::TimePoint deadline) const;
  net::awaitable<std::expected<Meeting, base::Failure>> connect(net::Loop& loop,
                                                                std::string instance,
                                                                net::TimePoint deadline) const;

 private:
  struct Told {
    link::v1::HubMessage message;
    net::Endpoint hub;
  };
  using Answer = std::expected<Told, base::Failure>;
  struct Question;

  static net::awaitable<void> ask_hub(std::shared_ptr<ControlLink> link, net::Loop* control,
                                      link::v1::MemberMessage message, net::TimePoint deadline,
                                      std::shared_ptr<Question> question);
  net::awaitable<Answer> ask_from(net::Loop& loop, link::v1::MemberMessage message,
                                  net::TimePoint deadline) const;

  net::Loop& control_;
  const std::shared_ptr<ControlLink> link_;
  const std::shared_ptr<const Member> member_;
};

}  // namespace simplon::overlay
