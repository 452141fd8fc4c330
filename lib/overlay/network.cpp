#include "overlay/network.hpp"

#include <algorithm>
#include <utility>

namespace simplon::overlay {

std::string_view to_string(StreamKind kind) noexcept {
  switch (kind) {
    case StreamKind::http:
      return "http";
    case StreamKind::raw:
      return "raw";
    case StreamKind::probe:
      return "probe";
    case StreamKind::control:
      return "control";
  }
  return "unknown";
}

std::string_view to_string(LinkState state) noexcept {
  switch (state) {
    case LinkState::connecting:
      return "connecting";
    case LinkState::up:
      return "up";
    case LinkState::down:
      return "down";
  }
  return "unknown";
}

bool valid_service_name(std::string_view name) noexcept {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  return !name.empty() && name.size() <= 63 && name.front() != '-' && name.back() != '-' &&
         std::ranges::all_of(name, fits);
}

bool valid_service_text(std::string_view name) noexcept {
  const auto fits = [](unsigned char c) { return c >= 0x20 && c != 0x7f; };
  return !name.empty() && name.size() <= 256 && std::ranges::all_of(name, fits);
}

void OpenStatus::accept() { settle(State::accepted); }

void OpenStatus::refuse(Refusal refusal) {
  if (state_ == State::pending) {
    refusal_ = std::move(refusal);
    settle(State::refused);
  }
}

void OpenStatus::when_settled(std::move_only_function<void()> wake) {
  if (state_ == State::pending) {
    waiters_.push_back(std::move(wake));
  } else {
    wake();
  }
}

void OpenStatus::settle(State state) {
  if (state_ != State::pending) {
    return;
  }
  state_ = state;
  for (auto& wake : std::exchange(waiters_, {})) {
    wake();
  }
}

net::awaitable<OpenStatus::State> OpenStatus::decided(net::Loop& loop, net::TimePoint deadline) {
  if (state_ != State::pending) {
    co_return state_;
  }
  // The gate outlives both wakers: whichever comes second finds it opened.
  const auto gate = std::make_shared<net::Gate>(loop);
  waiters_.emplace_back([gate] { gate->open(); });
  if (!co_await gate->wait_until(deadline)) {
    const bool late = loop.now() >= deadline;
    refuse({.failure = {.hop = base::Hop::overlay,
                        .code = late ? base::Errc::timed_out : base::Errc::cancelled,
                        .detail = late ? "the hosting agent did not answer the open"
                                       : "given up before the hosting agent answered"},
            .not_processed = false});
  }
  co_return state_;
}

}  // namespace simplon::overlay
