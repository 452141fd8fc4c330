#include "overlay/embedded/hub_relay.hpp"

#include <array>
#include <atomic>
#include <utility>

#include <sodium.h>

#include "net/splice.hpp"

namespace simplon::overlay {

using base::Errc;
using base::Result;

/// Counted for a member, or for all.
struct HubRelay::Traffic {
  net::SpliceCounters bytes;
  std::atomic<std::uint32_t> pairs{0};
  std::size_t waiting = 0;  // the control loop's
};

struct HubRelay::Waiting {
  explicit Waiting(net::Loop& loop) : expiry(loop) {}
  std::array<std::string, 2> tickets;  // the dialer's and the host's
  std::array<net::Fd, 2> sockets;
  std::shared_ptr<Traffic> traffic;
  net::Timer expiry;
};

/// The pairs of one loop; its members are that loop's.
class HubRelay::Pairs : public std::enable_shared_from_this<Pairs> {
 public:
  explicit Pairs(net::Loop& loop) : loop_(loop), poster_(loop.poster()) {}

  bool post(std::move_only_function<void()> work) const { return poster_.post(std::move(work)); }

  void run(net::Fd dialer, net::Fd host, std::shared_ptr<Traffic> traffic,
           std::shared_ptr<Traffic> total) {
    if (stopped_) {
      --traffic->pairs;
      --total->pairs;
      return;
    }
    const auto a = net::make_socket_stream(loop_, std::move(dialer));
    const auto b = net::make_socket_stream(loop_, std::move(host));
    const std::uint64_t id = ++last_;
    live_.emplace(id, a);
    net::SpliceOptions options{
        .idle_timeout = kRelayIdle,
        .counters = std::shared_ptr<net::SpliceCounters>(traffic, &traffic->bytes)};
    net::start_splice(a, b, std::move(options),
                      [self = shared_from_this(), id, traffic, total](net::SpliceResult) {
                        --traffic->pairs;
                        --total->pairs;
                        self->live_.erase(id);
                      });
  }

  void stop() {
    stopped_ = true;
    for (auto& [id, stream] : std::exchange(live_, {})) {
      if (const auto open = stream.lock()) {
        open->reset();
      }
    }
  }

 private:
  net::Loop& loop_;
  const net::Loop::Poster poster_;
  bool stopped_ = false;
  std::uint64_t last_ = 0;
  std::map<std::uint64_t, std::weak_ptr<net::Stream>> live_;  // resetting one resets the other
};

HubRelay::HubRelay(net::Loop& control, const std::vector<net::Loop*>& loops)
    : control_(control), total_(std::make_shared<Traffic>()) {
  for (net::Loop* const loop : loops) {
    loops_.push_back(std::make_shared<Pairs>(*loop));
  }
}

HubRelay::~HubRelay() { stop(); }

void HubRelay::stop() {
  while (!tickets_.empty()) {
    // Of a copy: the pair owns its tickets.
    const auto pair = tickets_.begin()->second;
    forget(pair);
  }
  for (const auto& loop : loops_) {
    loop->post([loop] { loop->stop(); });
  }
}

std::shared_ptr<HubRelay::Traffic> HubRelay::traffic_of(const std::string& member) {
  auto& traffic = traffic_[member];
  if (!traffic) {
    traffic = std::make_shared<Traffic>();
  }
  return traffic;
}

Result<HubRelay::Tickets> HubRelay::issue(const std::string& member) {
  const auto traffic = traffic_of(member);
  if (waiting_ >= kMaxWaitingPairs || traffic->waiting >= kMaxWaitingPairsOfMember ||
      total_->pairs + waiting_ >= kMaxRelays ||
      traffic->pairs + traffic->waiting >= kMaxRelaysOfMember) {
    return base::fail(Errc::limit_exceeded);
  }
  const auto pair = std::make_shared<Waiting>(control_);
  pair->traffic = traffic;
  for (std::string& ticket : pair->tickets) {
    ticket.resize(kTicketBytes);
    randombytes_buf(ticket.data(), ticket.size());
    tickets_[ticket] = pair;
  }
  ++waiting_;
  ++traffic->waiting;
  pair->expiry.arm(control_.now() + kTicketLifetime, [this, weak = std::weak_ptr<Waiting>(pair)] {
    if (const auto expired = weak.lock()) {
      forget(expired);
    }
  });
  return Tickets{.dialer = pair->tickets[0], .host = pair->tickets[1]};
}

void HubRelay::forget(const std::shared_ptr<Waiting>& pair) {
  for (const std::string& ticket : pair->tickets) {
    tickets_.erase(ticket);
  }
  pair->expiry.cancel();
  --waiting_;
  --pair->traffic->waiting;
}

bool HubRelay::arrive(std::string_view ticket, net::Fd socket) {
  const auto at = tickets_.find(ticket);
  if (at == tickets_.end()) {
    return false;
  }
  const auto pair = at->second;
  tickets_.erase(at);  // used once, whatever comes of it
  const std::size_t side = pair->tickets[0] == ticket ? 0 : 1;
  pair->sockets[side] = std::move(socket);
  if (pair->sockets[1 - side]) {
    begin(pair);
  }
  return true;
}

void HubRelay::begin(const std::shared_ptr<Waiting>& pair) {
  forget(pair);
  const auto& loop = loops_[next_loop_++ % loops_.size()];
  ++pair->traffic->pairs;
  ++total_->pairs;
  const bool posted = loop->post([loop, sockets = std::move(pair->sockets), traffic = pair->traffic,
                                  total = total_]() mutable {
    loop->run(std::move(sockets[0]), std::move(sockets[1]), std::move(traffic), std::move(total));
  });
  if (!posted) {
    --pair->traffic->pairs;
    --total_->pairs;
  }
}

std::uint32_t HubRelay::pairs() const { return total_->pairs; }

std::uint64_t HubRelay::bytes() const {
  std::uint64_t sum = 0;
  for (const auto& [member, traffic] : traffic_) {
    sum += traffic->bytes.forward + traffic->bytes.backward;
  }
  return sum;
}

std::uint64_t HubRelay::bytes_of(const std::string& member) const {
  const auto at = traffic_.find(member);
  return at == traffic_.end() ? 0 : at->second->bytes.forward + at->second->bytes.backward;
}

}  // namespace simplon::overlay
