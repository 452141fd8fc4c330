#include "tunnel/overlay_link.hpp"

#include <algorithm>
#include <utility>

namespace simplon::tunnel {

// A call that is inside the network.
class OverlayLink::InFlight {
 public:
  InFlight(std::shared_ptr<OverlayLink> link, Slot& slot) : link_(std::move(link)), slot_(slot) {
    ++slot_.in_flight;
  }
  ~InFlight() {
    if (--slot_.in_flight == 0) {
      for (auto& wake : std::exchange(slot_.waiting, {})) {
        wake();
      }
    }
  }
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;

 private:
  std::shared_ptr<OverlayLink> link_;  // the slot's owner
  Slot& slot_;
};

OverlayLink::OverlayLink(std::string name, net::Loop& control, const std::vector<net::Loop*>& loops)
    : name_(std::move(name)), control_(control.poster()), listens_(control) {
  for (net::Loop* loop : loops) {
    slots_.push_back(std::make_unique<Slot>(*loop));
  }
  if (std::ranges::find(loops, &control) == loops.end()) {
    slots_.push_back(std::make_unique<Slot>(control));
  }
}

OverlayLink::Slot* OverlayLink::slot(const net::Loop& loop) const {
  const auto found =
      std::ranges::find_if(slots_, [&](const auto& slot) { return &slot->loop == &loop; });
  return found != slots_.end() ? found->get() : nullptr;
}

void OverlayLink::attach(overlay::Network& network) {
  network_ = &network;
  for (const auto& slot : slots_) {
    slot->loop.post(
        [self = shared_from_this(), &slot = *slot, &network] { slot.network = &network; });
  }
}

void OverlayLink::detach(std::move_only_function<void()> done) {
  network_ = nullptr;
  if (Slot* const here = slot(listens_.loop)) {
    here->network = nullptr;  // what runs next on the control loop may dial
  }
  absent_since_ = std::chrono::system_clock::now();
  // The control loop's; the last of the loops and of our own listens calls `done`.
  struct Pending {
    std::size_t left;
    std::move_only_function<void()> done;
    void released() {
      if (--left == 0) {
        done();
      }
    }
  };
  const auto pending = std::make_shared<Pending>(slots_.size() + 1, std::move(done));
  for (const auto& slot : slots_) {
    slot->loop.post([self = shared_from_this(), &slot = *slot, pending] {
      slot.network = nullptr;
      auto released = [control = self->control_, pending] {
        control.post([pending] { pending->released(); });
      };
      if (slot.in_flight == 0) {
        released();
      } else {
        slot.waiting.emplace_back(std::move(released));
      }
    });
  }
  if (listens_.in_flight == 0) {
    pending->released();
  } else {
    // Later: whoever listened still holds what the network returned.
    listens_.waiting.emplace_back(
        [control = control_, pending] { control.post([pending] { pending->released(); }); });
  }
}

overlay::LinkStatus OverlayLink::status() const {
  if (network_ != nullptr) {
    return network_->status();
  }
  return {.state = overlay::LinkState::down,
          .since = absent_since_,
          .last_error = "this agent has no overlay \"" + name_ + "\""};
}

net::awaitable<std::expected<overlay::Dialed, base::Failure>> OverlayLink::dial(
    net::Loop& loop, overlay::DialOptions options) {
  Slot* const mine = slot(loop);
  if (mine == nullptr || mine->network == nullptr) {
    co_return std::unexpected(base::Failure{
        .hop = base::Hop::overlay,
        .code = base::Errc::link_lost,
        .detail = "this agent is not a member of the overlay \"" + name_ + "\" any more"});
  }
  const InFlight here(shared_from_this(), *mine);
  auto dialed = co_await mine->network->dial(loop, std::move(options));
  if (!dialed) {
    co_return std::unexpected(std::move(dialed.error().failure));
  }
  co_return std::move(*dialed);
}

net::awaitable<std::expected<std::unique_ptr<overlay::Listener>, base::Failure>>
OverlayLink::listen(overlay::ListenOptions options,
                    std::function<void(std::unique_ptr<overlay::Inbound>)> handler) {
  if (network_ == nullptr) {
    co_return std::unexpected(base::Failure{
        .hop = base::Hop::overlay, .code = base::Errc::link_lost, .detail = status().last_error});
  }
  const InFlight here(shared_from_this(), listens_);
  auto listener = co_await network_->listen(std::move(options), std::move(handler));
  co_return std::move(listener);
}

}  // namespace simplon::tunnel
