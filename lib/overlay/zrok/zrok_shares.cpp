#include "overlay/zrok/zrok_shares.hpp"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>
#include <sodium.h>

#include "base/log.hpp"

namespace simplon::overlay::zrok {
namespace {

using base::Errc;
using std::chrono::milliseconds;
using std::chrono::seconds;

// By which we know our own again. The service's name follows.
constexpr std::string_view kTarget = "simplon:";
constexpr char kDescription[] = "simplon";
constexpr seconds kCallTimeout{20};
constexpr seconds kMaxPause{30};
// Between two accesses to the same share, of which the first was of no use.
constexpr seconds kAccessAgain{5};
constexpr int kGiveUpTries = 4;
// Calls for an access at the same time: each is a connection of its own.
constexpr std::size_t kMaxGranting = 4;
constexpr std::size_t kMaxGranted = 10'000;
// How long nobody asks again for a share that there is none of, or that is not ours ...
constexpr seconds kRefusedFor{5};
// ... or because the instance failed.
constexpr seconds kFailedFor{1};
constexpr std::size_t kMaxRefused = 4096;

bool is_name(std::string_view name, std::size_t longest) {
  return name.size() >= 3 && name.size() <= longest && std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
         });
}

base::Failure told(Errc code, std::string words) {
  return {.hop = base::Hop::overlay, .code = code, .detail = std::move(words)};
}

}  // namespace

Shares::Shares(net::Loop& loop, const Options& options, std::shared_ptr<Client> client)
    : loop_(loop),
      environment_(options.membership.environment),
      linger_(options.linger),
      sweep_after_(options.sweep_after),
      first_retry_(options.first_retry),
      client_(std::move(client)),
      claimed_(loop),
      granted_signal_(loop) {}

void Shares::start() { net::spawn(loop_, "zrok: leftovers", sweep(shared_from_this())); }

void Shares::end() {
  ended_ = true;
  client_->close();
  claimed_.notify();
  granted_signal_.notify();
}

net::Duration Shares::pause(int failures) const {
  const auto longest =
      std::min<milliseconds>(first_retry_ * (std::int64_t{1} << std::min(failures, 16)), kMaxPause);
  const auto bound = static_cast<std::uint32_t>(std::max<std::int64_t>(longest.count(), 2));
  return milliseconds(1 + randombytes_uniform(bound - 1));
}

base::Failure Shares::failure(const ziti::ApiError& error) {
  const bool as_it_is = error.code == Errc::not_permitted || error.code == Errc::no_such_service ||
                        error.code == Errc::already_exists || error.code == Errc::timed_out;
  return {.hop = base::Hop::overlay,
          .code = as_it_is ? error.code : make_error_code(Errc::link_lost),
          .detail = "zrok: " + error.words};
}

net::awaitable<Shares::Outcome<Share>> Shares::make(Self self, ListenOptions options,
                                                    net::TimePoint deadline) {
  const std::string service = options.service;
  const bool is_public = options.allow_frontends;
  const bool any_name = options.any_name;
  NewShare wanted{.is_public = is_public,
                  .raw = options.unsaid == StreamKind::raw,
                  .name = any_name ? std::string() : service,
                  .target = std::string(kTarget) + service};
  const std::size_t longest = is_public ? 63 : 32;
  if (!any_name && !is_name(service, longest)) {
    co_return std::unexpected(
        told(Errc::invalid_argument,
             absl::StrCat("zrok: a ", is_public ? "public name" : "private share's token",
                          " has 3 to ", longest, " of a-z, 0-9 and hyphens; choose another name")));
  }
  if (is_public) {
    auto spaces = co_await self->client_->name_spaces(deadline);
    if (!spaces) {
      co_return std::unexpected(failure(spaces.error()));
    }
    if (spaces->empty()) {
      co_return std::unexpected(told(Errc::not_permitted,
                                     "zrok: this account may use no namespace for public shares; "
                                     "share privately, or ask the instance's admin"));
    }
    wanted.name_space = spaces->front();
    if (!any_name) {
      auto kept = co_await self->client_->keep_name(wanted.name_space, service, deadline);
      if (!kept) {
        co_return std::unexpected(failure(kept.error()));
      }
    }
  }
  auto made = co_await self->client_->share(self->environment_, std::move(wanted), deadline);
  if (!made) {
    co_return std::unexpected(failure(made.error()));
  }
  base::log().info("zrok: shared {} as {}", service, made->token);
  co_return *std::move(made);
}

net::awaitable<Shares::Outcome<Share>> Shares::claim(Self self, ListenOptions wanted,
                                                     net::TimePoint deadline) {
  deadline = std::min(deadline, self->loop_.now() + kCallTimeout);
  while (self->claiming_) {
    if (!co_await self->claimed_.changed(deadline)) {
      co_return std::unexpected(told(Errc::timed_out, "zrok: the instance is slow"));
    }
  }
  if (self->ended_) {
    co_return std::unexpected(told(Errc::link_lost, "zrok: the overlay is being removed"));
  }
  self->claiming_ = true;
  const std::string target = std::string(kTarget) + wanted.service;
  Outcome<Share> out = std::unexpected(base::Failure{});
  auto known = co_await self->client_->shares(self->environment_, deadline);
  if (!known) {
    out = std::unexpected(failure(known.error()));
  } else {
    for (Share& one : *known) {
      if (one.target != target || self->in_use(one.token)) {
        continue;
      }
      if (one.is_public == wanted.allow_frontends && !out) {
        base::log().info("zrok: took over the share {} of {}", one.token, wanted.service);
        out = std::move(one);
      } else {
        // Of another kind, or one too many: it would keep the name from the new one.
        [[maybe_unused]] const auto gone =
            co_await self->client_->unshare(self->environment_, one.token, deadline);
      }
    }
    if (!out) {
      out = co_await make(self, std::move(wanted), deadline);
    }
  }
  if (out) {
    self->used_.insert(out->token);
  }
  self->claiming_ = false;
  self->claimed_.notify();
  co_return out;
}

void Shares::let_go(const std::string& token) {
  used_.erase(token);
  if (!ended_ && !keeping_) {
    net::spawn(loop_, "zrok: unshare", give_up_later(shared_from_this(), token));
  }
}

net::awaitable<void> Shares::give_up_later(Self self, std::string token) {
  co_await net::sleep_until(self->loop_, self->loop_.now() + self->linger_);
  while (self->claiming_ && !self->ended_) {
    co_await self->claimed_.changed(self->loop_.now() + kCallTimeout);
  }
  if (!self->ended_ && !self->in_use(token)) {
    co_await give_up(self, token);
  }
}

net::awaitable<void> Shares::give_up(Self self, std::string token) {
  for (int tried = 1; tried <= kGiveUpTries && !self->ended_ && !self->in_use(token); ++tried) {
    const auto gone = co_await self->client_->unshare(self->environment_, token,
                                                      self->loop_.now() + kCallTimeout);
    if (gone) {
      base::log().info("zrok: the share {} is given up", token);
      co_return;
    }
    if (!gone.error().passing()) {
      base::log().warn("zrok: the share {} is not given up: {}", token, gone.error().words);
      co_return;
    }
    co_await net::sleep_until(self->loop_, self->loop_.now() + self->pause(tried));
  }
}

net::awaitable<void> Shares::sweep(Self self) {
  for (;;) {
    co_await net::sleep_until(self->loop_, self->loop_.now() + self->sweep_after_);
    if (self->ended_ || self->keeping_) {
      co_return;
    }
    const auto deadline = self->loop_.now() + kCallTimeout;
    const auto shares = co_await self->client_->shares(self->environment_, deadline);
    const auto accesses = co_await self->client_->accesses(self->environment_, deadline);
    if (self->ended_ || self->keeping_) {
      co_return;
    }
    if (!shares || !accesses) {
      continue;
    }
    for (const Share& one : *shares) {
      if (one.target.starts_with(kTarget) && !self->in_use(one.token) && !self->claiming_ &&
          !self->keeping_) {
        co_await give_up(self, one.token);
      }
    }
    for (const Access& one : *accesses) {
      const bool ours = std::ranges::any_of(self->granted_, [&](const auto& granted) {
        return granted.second.frontend == one.frontend || granted.second.frontend.empty();
      });
      if (one.description == kDescription && !ours && !self->ended_) {
        [[maybe_unused]] const auto gone =
            co_await self->client_->unaccess(self->environment_, one, deadline);
      }
    }
    co_return;
  }
}

net::awaitable<Shares::Outcome<bool>> Shares::grant(Self self, std::string share,
                                                    net::TimePoint deadline) {
  for (;;) {
    if (self->ended_) {
      co_return std::unexpected(told(Errc::link_lost, "zrok: the overlay is being removed"));
    }
    const auto refused = self->refused_.find(share);
    if (refused != self->refused_.end()) {
      if (self->loop_.now() < refused->second.until) {
        co_return std::unexpected(refused->second.failure);
      }
      self->refused_.erase(refused);
    }
    const auto known = self->granted_.find(share);
    const bool making = known != self->granted_.end() && known->second.frontend.empty();
    if (known != self->granted_.end() && !making &&
        (!known->second.useless || self->loop_.now() < known->second.since + kAccessAgain)) {
      co_return true;
    }
    if (!making && self->granting_ < kMaxGranting) {
      break;
    }
    if (!co_await self->granted_signal_.changed(deadline)) {
      co_return std::unexpected(told(Errc::timed_out, "zrok: the instance is slow"));
    }
  }
  if (self->granted_.size() >= kMaxGranted && !self->granted_.contains(share)) {
    co_return std::unexpected(
        told(Errc::link_lost, "zrok: this agent has accesses to 10,000 shares, the most it takes"));
  }
  ++self->granting_;
  auto made = co_await make_access(self, share, deadline);
  --self->granting_;
  if (made) {
    self->granted_[share] = {.frontend = *made, .since = self->loop_.now()};
  } else {
    self->granted_.erase(share);
    self->refuse(share, made.error());
  }
  self->granted_signal_.notify();
  co_return made ? Outcome<bool>(true) : std::unexpected(std::move(made.error()));
}

// In place of the one that there was.
net::awaitable<Shares::Outcome<std::string>> Shares::make_access(Self self, std::string share,
                                                                 net::TimePoint deadline) {
  const std::string before =
      std::exchange(self->granted_[share], Granted{.frontend = {}, .since = self->loop_.now()})
          .frontend;
  if (!before.empty()) {
    [[maybe_unused]] const auto gone = co_await self->client_->unaccess(
        self->environment_, {.frontend = before, .share = share}, deadline);
  }
  auto made = co_await self->client_->access(self->environment_, share, kDescription,
                                             std::min(deadline, self->loop_.now() + kCallTimeout));
  co_return made ? Outcome<std::string>(*std::move(made)) : std::unexpected(failure(made.error()));
}

void Shares::refuse(const std::string& share, base::Failure failure) {
  const bool for_good =
      failure.code == Errc::not_permitted || failure.code == Errc::no_such_service;
  if (failure.code == Errc::timed_out) {
    return;  // whoever asked had little time, maybe
  }
  const auto now = loop_.now();
  if (refused_.size() >= kMaxRefused) {
    std::erase_if(refused_, [&](const auto& one) { return one.second.until <= now; });
  }
  if (refused_.size() >= kMaxRefused) {
    refused_.erase(refused_.begin());
  }
  refused_[share] = {.failure = std::move(failure),
                     .until = now + (for_good ? kRefusedFor : kFailedFor)};
}

void Shares::forget(const std::string& share) {
  const auto known = granted_.find(share);
  if (known != granted_.end()) {
    known->second.useless = true;
  }
}

}  // namespace simplon::overlay::zrok
