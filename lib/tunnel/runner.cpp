#include "tunnel/runner.hpp"

#include <utility>

#include "base/log.hpp"
#include "tunnel/policies.hpp"

namespace simplon::tunnel {

Runner::Runner(Surroundings& around, TunnelPtr tunnel, std::shared_ptr<OverlayLink> link)
    : around_(around),
      tunnel_(std::move(tunnel)),
      link_(std::move(link)),
      traffic_(std::make_shared<Traffic>(around.control, around.loops, events_,
                                         connection_limit(tunnel_->spec))) {
  events_->far_end = [this](const std::string& error) { far_end(error); };
  events_->idle = [this] {
    if (finished() && on_finished) {
      on_finished();
    }
  };
}

void Runner::drain(std::move_only_function<void()> released) {
  draining_ = true;
  stop_listening();
  update();
  // Copyable, as Traffic::close wants it.
  const auto then = std::make_shared<std::move_only_function<void()>>(std::move(released));
  traffic_->close([this, alive = std::weak_ptr(alive_), then] {
    if (alive.expired()) {
      return;
    }
    released_ = true;
    (*then)();
    if (finished() && on_finished) {
      on_finished();
    }
  });
}

CheckSubject Runner::check_subject() {
  return {.loop = &around_.control,
          .tunnel = tunnel_,
          .link = link_,
          .engine = {},
          .target_tls = nullptr,
          .status = {}};
}

Status Runner::status() const {
  Judgement judgement = judge();
  std::string url = url_of(*tunnel_);
  if (!url.empty()) {
    judgement.urls.insert(judgement.urls.begin(), url);
  } else if (!judgement.urls.empty()) {
    url = judgement.urls.front();
  }
  return {.phase = phase_of(judgement),
          .message = message_of(judgement),
          .url = std::move(url),
          .urls = std::move(judgement.urls),
          .known_as = std::move(judgement.known_as),
          .hops = std::move(judgement.hops),
          .counters = traffic_->counters()};
}

Phase Runner::phase_of(const Judgement& judgement) const {
  if (draining_) {
    return Phase::draining;
  }
  if (!judgement.failed.empty()) {
    return Phase::failed;
  }
  if (judgement.works) {
    return Phase::active;
  }
  return was_active_ ? Phase::degraded : Phase::starting;
}

std::string Runner::message_of(const Judgement& judgement) const {
  if (draining_) {
    return {};
  }
  return judgement.failed.empty() ? judgement.message : judgement.failed;
}

void Runner::update(Loudness loudness) {
  const Judgement judgement = judge();
  const Phase phase = phase_of(judgement);
  was_active_ = was_active_ || phase == Phase::active;
  const std::string message = message_of(judgement);
  if (phase != phase_ || message != told_) {
    phase_ = phase;
    told_ = message;
    const bool bad = phase == Phase::failed || phase == Phase::degraded;
    base::log().log(loudness == Loudness::whisper ? spdlog::level::debug
                    : bad                         ? spdlog::level::warn
                                                  : spdlog::level::info,
                    "tunnel {}: {}{}{}", tunnel_->name, to_string(phase),
                    message.empty() ? "" : ": ", message);
  }
  if (on_change) {
    on_change();
  }
}

HopStatus Runner::link_hop() const {
  const overlay::LinkStatus link = link_->status();
  HopStatus hop{.name = kLinkHop, .since = link.since, .last_error = link.last_error};
  switch (link.state) {
    case overlay::LinkState::connecting:
      hop.state = HopState::starting;
      break;
    case overlay::LinkState::up:
      hop.state = HopState::up;
      break;
    case overlay::LinkState::down:
      hop.state = HopState::down;
      break;
  }
  return hop;
}

std::string Runner::link_problem() const {
  const overlay::LinkStatus link = link_->status();
  if (link.state == overlay::LinkState::up) {
    return {};
  }
  std::string out = "overlay \"" + link_->name() + "\": ";
  out += link.last_error.empty() ? "not connected yet" : link.last_error;
  return out;
}

std::string bind_problem(const std::string& listen, std::error_code error) {
  std::string out = "cannot listen on " + listen + ": ";
  if (error == base::Errc::address_in_use) {
    return out + "another program or tunnel listens there; stop it or choose another port";
  }
  if (error == base::Errc::not_permitted) {
    return out + "not permitted; ports below 1024 need a privilege, choose a higher one";
  }
  if (error == base::Errc::unreachable) {
    return out + "this host has no such address";
  }
  return out + error.message();
}

}  // namespace simplon::tunnel
