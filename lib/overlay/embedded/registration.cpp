#include "overlay/embedded/registration.hpp"

#include <utility>

#include "base/log.hpp"

namespace simplon::overlay {
namespace {

using base::Errc;
using base::Failure;

// The hub says whose the name is; all else may be different the next time.
bool not_ours(const Failure& failure) {
  return failure.code == Errc::not_permitted || failure.code == Errc::invalid_argument;
}

}  // namespace

Registration::Registration(net::Loop& control, std::shared_ptr<ControlLink> link,
                           std::shared_ptr<Services> services, std::string name,
                           Services::Service service)
    : control_(control),
      link_(std::move(link)),
      services_(std::move(services)),
      name_(std::move(name)),
      service_(std::move(service)),
      status_{.since = std::chrono::system_clock::now(), .last_error = {}},
      again_(control) {}

bool Registration::offer() { return services_->add(name_, service_); }

void Registration::link_up() {
  if (!withdrawn_) {
    net::spawn(control_, "overlay: registration", announce_later(shared_from_this()));
  }
}

net::awaitable<void> Registration::announce_later(std::shared_ptr<Registration> self) {
  co_await announce(std::move(self));
}

void Registration::link_down(const std::string& why) {
  if (!withdrawn_) {
    ++attempt_;
    again_.cancel();
    become(LinkState::connecting, why);
  }
}

void Registration::withdraw() {
  if (std::exchange(withdrawn_, true)) {
    return;
  }
  ++attempt_;
  again_.cancel();
  changed_ = nullptr;
  services_->remove(name_);
  link::v1::MemberMessage message;
  message.mutable_withdraw()->set_service(name_);
  link_->tell(std::move(message));
}

net::awaitable<std::optional<Failure>> Registration::announce(std::shared_ptr<Registration> self) {
  if (self->withdrawn_) {
    co_return std::nullopt;
  }
  self->again_.cancel();
  const std::uint64_t attempt = ++self->attempt_;
  link::v1::MemberMessage message;
  message.mutable_register_()->set_service(self->name_);
  message.mutable_register_()->set_public_(self->service_.allow_frontends);
  const auto answer =
      co_await self->link_->ask(std::move(message), self->control_.now() + kAnswerDeadline);
  if (attempt != self->attempt_) {
    co_return std::nullopt;
  }
  if (answer && answer->has_done()) {
    static_cast<void>(self->services_->add(self->name_, self->service_));
    self->become(LinkState::up);
    co_return std::nullopt;
  }
  const Failure failure =
      answer ? Failure{.hop = base::Hop::hub,
                       .code = Errc::protocol_error,
                       .detail = "the hub answers something else than it was asked"}
             : answer.error();
  base::log().warn("overlay: \"{}\" is not registered: {}", self->name_, failure.message());
  if (not_ours(failure)) {
    // Our own dials of the name have to reach its owner, too.
    self->services_->remove(self->name_);
  }
  self->again_.arm(self->control_.now() + kRegisterAgain, [weak = std::weak_ptr(self)] {
    if (const auto here = weak.lock()) {
      here->link_up();
    }
  });
  self->become(LinkState::down, failure.message());
  co_return not_ours(failure) ? std::optional(failure) : std::nullopt;
}

void Registration::become(LinkState state, std::string error) {
  const bool news = status_.state != state || status_.last_error != error;
  if (status_.state != state) {
    status_.since = std::chrono::system_clock::now();
  }
  status_.state = state;
  status_.last_error = std::move(error);
  if (const auto changed = changed_; changed && news) {
    changed();
  }
}

}  // namespace simplon::overlay
