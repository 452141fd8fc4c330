#include "overlay/memory/memory_network.hpp"

#include <map>
#include <utility>

#include "overlay/services.hpp"

namespace simplon::overlay {

class MemoryDirectory {
 public:
  struct Member {
    Identity identity;
    std::shared_ptr<Services> services = std::make_shared<Services>();
  };
  struct Claim {
    std::string owner;
    std::weak_ptr<Member> host;  // empty: nobody hosts it now
  };

  std::map<std::string, Claim, std::less<>>& claims() { return claims_; }

 private:
  std::map<std::string, Claim, std::less<>> claims_;
};

namespace {

using base::Errc;
using base::Hop;
using Member = MemoryDirectory::Member;

std::unexpected<Refusal> refused(Hop hop, Errc code, std::string detail) {
  return std::unexpected(
      Refusal{.failure = {.hop = hop, .code = code, .detail = std::move(detail)}});
}

class MemoryListener final : public Listener {
 public:
  MemoryListener(std::shared_ptr<MemoryDirectory> directory, std::shared_ptr<Member> member,
                 std::string service)
      : directory_(std::move(directory)),
        member_(std::move(member)),
        service_(std::move(service)),
        since_(std::chrono::system_clock::now()) {}

  ~MemoryListener() override {
    member_->services->remove(service_);
    directory_->claims().at(service_).host.reset();
  }

  LinkStatus status() const override { return {.state = LinkState::up, .since = since_}; }
  void on_change(std::function<void()>) override {}

 private:
  const std::shared_ptr<MemoryDirectory> directory_;
  const std::shared_ptr<Member> member_;
  const std::string service_;
  const std::chrono::system_clock::time_point since_;
};

net::awaitable<std::expected<Dialed, Refusal>> dial_from(net::Loop& loop,
                                                         std::shared_ptr<MemoryDirectory> directory,
                                                         std::shared_ptr<Member> from,
                                                         DialOptions options) {
  const auto& claims = directory->claims();
  const auto claim = claims.find(options.service);
  if (claim == claims.end()) {
    co_return refused(Hop::hub, Errc::no_such_service,
                      "no agent ever shared \"" + options.service + "\"");
  }
  const auto host = claim->second.host.lock();
  if (!host) {
    co_return refused(Hop::hub, Errc::not_hosted, "no agent hosts \"" + options.service + "\" now");
  }
  if (loop.now() >= options.deadline) {
    co_return refused(Hop::overlay, Errc::timed_out, "the deadline passed before the dial");
  }
  co_return open_local(host->services, loop, options, from->identity);
}

class MemoryNetwork final : public Network {
 public:
  MemoryNetwork(std::shared_ptr<MemoryDirectory> directory, std::string name, bool frontends)
      : directory_(std::move(directory)), since_(std::chrono::system_clock::now()) {
    member_->identity = {.peer = {.name = std::move(name), .spki_sha256 = {}, .certificate = {}},
                         .may_run_frontends = frontends};
  }

  ~MemoryNetwork() override { member_->services->clear(); }
  MemoryNetwork(const MemoryNetwork&) = delete;
  MemoryNetwork& operator=(const MemoryNetwork&) = delete;

  std::string_view kind() const override { return "memory"; }
  std::string self() const override { return member_->identity.peer.name; }
  LinkStatus status() const override { return {.state = LinkState::up, .since = since_}; }
  void on_change(std::function<void()>) override {}

  net::awaitable<std::expected<Dialed, Refusal>> dial(net::Loop& loop,
                                                      DialOptions options) override {
    // The network may be gone when the coroutine begins.
    return dial_from(loop, directory_, member_, std::move(options));
  }

  net::awaitable<std::expected<std::unique_ptr<Listener>, base::Failure>> listen(
      ListenOptions options, Services::Handler handler) override {
    using Made = std::unique_ptr<Listener>;
    const std::string& service = options.service;
    if (!valid_service_name(service)) {
      co_return std::unexpected(base::Failure{.hop = Hop::share,
                                              .code = Errc::invalid_argument,
                                              .detail = "\"" + service + "\" is not a DNS label"});
    }
    auto& claim = directory_->claims()[service];
    if (claim.owner.empty()) {
      claim.owner = self();
    }
    if (claim.owner != self()) {
      co_return std::unexpected(
          base::Failure{.hop = Hop::hub,
                        .code = Errc::not_permitted,
                        .detail = "\"" + service + "\" belongs to " + claim.owner});
    }
    if (!member_->services->add(
            service, {.allow_frontends = options.allow_frontends, .handler = std::move(handler)})) {
      co_return std::unexpected(
          base::Failure{.hop = Hop::share,
                        .code = Errc::already_exists,
                        .detail = "this agent hosts \"" + service + "\" already"});
    }
    claim.host = member_;
    co_return Made(std::make_unique<MemoryListener>(directory_, member_, service));
  }

 private:
  const std::shared_ptr<MemoryDirectory> directory_;
  const std::shared_ptr<Member> member_ = std::make_shared<Member>();
  const std::chrono::system_clock::time_point since_;
};

}  // namespace

std::shared_ptr<MemoryDirectory> make_memory_directory() {
  return std::make_shared<MemoryDirectory>();
}

std::unique_ptr<Network> make_memory_network(std::shared_ptr<MemoryDirectory> directory,
                                             std::string name, bool may_run_frontends) {
  return std::make_unique<MemoryNetwork>(std::move(directory), std::move(name), may_run_frontends);
}

}  // namespace simplon::overlay
