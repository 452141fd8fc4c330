#include "tunnel/traffic.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

namespace simplon::tunnel {
namespace {

std::size_t hash_of(std::string_view text) { return std::hash<std::string_view>{}(text); }

}  // namespace

Traffic::Traffic(net::Loop& control, const std::vector<net::Loop*>& loops,
                 std::weak_ptr<TrafficEvents> events, std::uint64_t most)
    : control_(control.poster()),
      events_(std::move(events)),
      most_(most),
      last_far_end_(hash_of("not yet")) {
  for (net::Loop* loop : loops) {
    lanes_.push_back(std::make_unique<Lane>(*loop));
  }
  if (std::ranges::find(loops, &control) == loops.end()) {
    lanes_.push_back(std::make_unique<Lane>(control));
  }
}

Lane* Traffic::lane(const net::Loop& loop) const {
  const auto found =
      std::ranges::find_if(lanes_, [&](const auto& lane) { return &lane->loop == &loop; });
  return found != lanes_.end() ? found->get() : nullptr;
}

Counters Traffic::counters() const {
  std::map<int, std::uint64_t> refused;
  {
    const std::scoped_lock lock(refused_mutex_);
    refused = refused_;
  }
  return {.connections = connections_.load(std::memory_order_relaxed),
          .open_connections = open_.load(std::memory_order_relaxed),
          .requests = requests_.load(std::memory_order_relaxed),
          .failures = failures_.load(std::memory_order_relaxed),
          .bytes_in = bytes_in_.load(std::memory_order_relaxed) +
                      spliced_->forward.load(std::memory_order_relaxed),
          .bytes_out = bytes_out_.load(std::memory_order_relaxed) +
                       spliced_->backward.load(std::memory_order_relaxed),
          .refused = std::move(refused)};
}

void Traffic::count_request(const http::Ends::Outcome& outcome) {
  requests_.fetch_add(1, std::memory_order_relaxed);
  bytes_in_.fetch_add(outcome.bytes_in, std::memory_order_relaxed);
  bytes_out_.fetch_add(outcome.bytes_out, std::memory_order_relaxed);
  if (outcome.refused) {
    count_refusal(outcome.status);
  }
}

void Traffic::count_refusal(int status) {
  const std::scoped_lock lock(refused_mutex_);
  ++refused_[status];
}

std::unique_ptr<Connection> Traffic::admit(Lane& lane, net::StreamPtr client, ClientPlace place) {
  if (open_.fetch_add(1) >= most_) {
    ended(true);
    return nullptr;
  }
  connections_.fetch_add(1, std::memory_order_relaxed);
  return std::unique_ptr<Connection>(
      new Connection(shared_from_this(), lane, std::move(client), true, std::move(place)));
}

std::unique_ptr<Connection> Traffic::turn_away(Lane& lane, net::StreamPtr client) {
  if (turned_away_.fetch_add(1, std::memory_order_relaxed) >= kMaxTurnedAway) {
    ended(false);
    return nullptr;
  }
  return std::unique_ptr<Connection>(
      new Connection(shared_from_this(), lane, std::move(client), false, {}));
}

void Traffic::far_end(const std::string& error) {
  const std::size_t hash = hash_of(error);
  if (last_far_end_.load(std::memory_order_relaxed) == hash) {
    return;
  }
  // Loops that see different ends at once are told in the order in which they are remembered.
  const std::scoped_lock lock(far_end_mutex_);
  if (last_far_end_.exchange(hash) == hash) {
    return;
  }
  control_.post([events = events_, error] {
    if (const auto to = events.lock(); to && to->far_end) {
      to->far_end(error);
    }
  });
}

void Traffic::close(std::function<void()> closed) {
  closing_ = true;
  // The control loop's count of lanes that are still to answer; touched there only.
  const auto left = std::make_shared<std::size_t>(lanes_.size());
  for (const auto& lane : lanes_) {
    lane->loop.post([self = shared_from_this(), &lane = *lane, left, closed]() mutable {
      lane.acceptor.reset();
      lane.idle.close();
      lane.drain->request();
      self->control_.post([left, closed = std::move(closed)] {
        if (--*left == 0) {
          closed();
        }
      });
    });
  }
}

void Traffic::cut() {
  for (const auto& lane : lanes_) {
    lane->loop.post([self = shared_from_this(), &lane = *lane] {
      // A copy: a connection may leave the list while another is reset.
      for (const auto running = std::vector(lane.running.begin(), lane.running.end());
           const net::StreamPtr& client : running) {
        client->reset(base::Errc::draining);
      }
    });
  }
}

void Traffic::ended(bool admitted) {
  if (!admitted) {
    turned_away_.fetch_sub(1, std::memory_order_relaxed);
    return;
  }
  if (open_.fetch_sub(1) == 1 && closing_) {
    control_.post([events = events_] {
      if (const auto to = events.lock(); to && to->idle) {
        to->idle();
      }
    });
  }
}

Connection::Connection(std::shared_ptr<Traffic> traffic, Lane& lane, net::StreamPtr client,
                       bool admitted, ClientPlace place)
    : traffic_(std::move(traffic)), lane_(lane), admitted_(admitted), place_(std::move(place)) {
  position_ = lane_.running.insert(lane_.running.end(), std::move(client));
}

Connection::~Connection() {
  lane_.running.erase(position_);
  traffic_->ended(admitted_);
}

}  // namespace simplon::tunnel
