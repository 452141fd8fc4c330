#include "overlay/ziti/router_pool.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace simplon::overlay::ziti {

net::awaitable<RouterPool::Made> RouterPool::channel(std::shared_ptr<RouterPool> self,
                                                     std::vector<Router> routers,
                                                     net::TimePoint deadline) {
  EdgeError last{.kind = EdgeErrorKind::link_lost, .text = "no router was named"};
  std::set<std::string> tried;
  std::uint64_t epoch = self->login_.epoch;
  for (;;) {
    if (epoch != self->login_.epoch) {
      epoch = self->login_.epoch;
      tried.clear();
    }
    if (self->stopped_) {
      co_return std::unexpected(
          EdgeError{.kind = EdgeErrorKind::link_lost, .text = given_up().detail});
    }
    if (auto ready = self->pick(routers)) {
      co_return ready;
    }
    bool hope = false;
    for (const Router& router : routers) {
      const ReachPtr reach = self->reach(router);
      const bool rests = self->loop_.now() < reach->unreachable_until;
      if (!reach->connecting && !rests && tried.insert(key_of(router)).second) {
        self->connect(reach);
      }
      hope = hope || reach->connecting;
      if (!reach->connecting) {
        last = reach->failure;
      }
    }
    if (!hope) {
      co_return std::unexpected(last);
    }
    const auto gate = std::make_shared<net::Gate>(self->loop_);
    self->waiting_.push_back(gate);
    if (!co_await gate->wait_until(deadline)) {
      co_return std::unexpected(EdgeError{.kind = EdgeErrorKind::timed_out,
                                          .text = "no router could be reached in time"});
    }
  }
}

std::shared_ptr<Channel> RouterPool::pick(const std::vector<Router>& routers) {
  std::vector<ChannelLoad> loads;
  std::vector<std::pair<ReachPtr, std::shared_ptr<Channel>>> channels;
  for (std::size_t i = 0; i < routers.size(); ++i) {
    const auto found = reaches_.find(key_of(routers[i]));
    if (found == reaches_.end()) {
      continue;
    }
    for (const Line& line : found->second->lines) {
      if (line.channel->up()) {
        loads.push_back({.router = i,
                         .latency = line.channel->latency(),
                         .circuits = line.channel->circuits()});
        channels.emplace_back(found->second, line.channel);
      }
    }
  }
  const auto best = choose_channel(loads);
  if (!best) {
    return nullptr;
  }
  const auto& [reach, channel] = channels[*best];
  if (loads[*best].circuits >= kCrowded && reach->lines.size() < kChannelsPerRouter &&
      !reach->connecting && loop_.now() >= reach->unreachable_until) {
    connect(reach);
  }
  return channel;
}

RouterPool::ReachPtr RouterPool::reach(const Router& router) {
  ReachPtr& slot = reaches_[key_of(router)];
  if (slot == nullptr) {
    slot = std::make_shared<Reach>();
    slot->router = router;
  }
  return slot;
}

void RouterPool::connect(const ReachPtr& reach) {
  reach->connecting = true;
  net::spawn(loop_, "overlay: channel to a router", connect_to(shared_from_this(), reach, login_));
}

net::awaitable<void> RouterPool::connect_to(std::shared_ptr<RouterPool> self, ReachPtr reach,
                                            RouterLogin login) {
  auto made = co_await ChannelMaker::connect(self->maker_, self->loop_, reach->router, login);
  reach->connecting = false;
  if (!made) {
    reach->failure = std::move(made.error());
    reach->unreachable_until = self->loop_.now() + kUnreachableFor;
    if (reach->failure.kind == EdgeErrorKind::login_refused) {
      self->rest(*reach);
    }
  } else if (self->stopped_ || login.epoch != self->login_.epoch) {
    reach->failure = {.kind = EdgeErrorKind::link_lost, .text = "the login has changed"};
    (*made)->close();
  } else {
    self->take(reach, std::move(*made), login);
  }
  self->wake();
}

void RouterPool::take(const ReachPtr& reach, std::shared_ptr<Channel> channel,
                      const RouterLogin& login) {
  channel->on_lost([weak = weak_from_this(), at = std::weak_ptr(reach), raw = channel.get(),
                    token = login.token](const EdgeError& error) {
    const auto self = weak.lock();
    const auto lost_at = at.lock();
    if (self && lost_at) {
      self->lost(*lost_at, raw, error, token);
    }
  });
  if (login.number != login_.number) {
    renew(loop_, channel, login_.token);
  }
  auto gauge = std::make_unique<ChannelGauge>(loop_, maker_->book, channel);
  reach->lines.push_back({.channel = std::move(channel), .gauge = std::move(gauge)});
}

void RouterPool::lost(Reach& reach, const Channel* channel, const EdgeError& error,
                      const std::string& token) {
  if (std::erase_if(reach.lines, [&](const Line& line) { return line.channel.get() == channel; }) ==
      0) {
    return;
  }
  loss_ = true;
  maker_->book->error(reach.router, error.text);
  if (error.kind != EdgeErrorKind::login_refused) {
    reach.refusals = 0;  // it had taken the login
    return;
  }
  reach.failure = error;
  rest(reach);
  maker_->desk->login_refused(reach.router, token);
}

// A login that is new may not have reached the router yet: after the first refusal it is tried
// again at once.
void RouterPool::rest(Reach& reach) {
  const unsigned before = reach.refusals++;
  const auto pause = before == 0
                         ? std::chrono::seconds(0)
                         : std::min(kRefusedFor * (1 << std::min(before - 1, 6U)), kLongestRefusal);
  reach.unreachable_until = loop_.now() + pause;
}

void RouterPool::adopt(const RouterLogin& login) {
  if (stopped_ || login.number <= login_.number) {
    return;
  }
  const bool renewed = login.epoch == login_.epoch;
  login_ = login;
  if (!renewed) {
    let_go();
    wake();
    return;
  }
  for (const auto& [key, reach] : reaches_) {
    for (const Line& line : reach->lines) {
      renew(loop_, line.channel, login.token);
    }
  }
}

void RouterPool::stop() {
  stopped_ = true;
  let_go();
  wake();
}

// What is still connecting closes itself.
void RouterPool::let_go() {
  for (const auto& [key, reach] : std::exchange(reaches_, {})) {
    for (Line& line : reach->lines) {
      retire(loop_, std::move(line.channel), *maker_);
    }
    reach->lines.clear();
  }
}

void RouterPool::wake() {
  for (const auto& weak : std::exchange(waiting_, {})) {
    if (const auto gate = weak.lock()) {
      gate->open();
    }
  }
}

}  // namespace simplon::overlay::ziti
