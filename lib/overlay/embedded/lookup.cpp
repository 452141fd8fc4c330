#include "overlay/embedded/lookup.hpp"

#include <algorithm>
#include <random>
#include <utility>

#include "overlay/embedded/relayed.hpp"

namespace simplon::overlay {
namespace {

using base::Errc;
using base::Failure;
using base::Hop;
using link::v1::HubMessage;
using link::v1::MemberMessage;

// More processes that host one service than this are not used.
constexpr int kMaxHosts = 64;

std::unexpected<Failure> failed(Errc code, std::string detail) {
  return std::unexpected(Failure{.hop = Hop::hub, .code = code, .detail = std::move(detail)});
}

}  // namespace

struct Lookup::Question {
  explicit Question(net::Loop& loop) : asked_from(loop.poster()), gate(loop) {}
  const net::Loop::Poster asked_from;
  net::Gate gate;  // of the asking loop
  Answer answer = std::unexpected(Failure{});
};

net::awaitable<void> Lookup::ask_hub(std::shared_ptr<ControlLink> link, net::Loop* control,
                                     MemberMessage message, net::TimePoint deadline,
                                     std::shared_ptr<Question> question) {
  Answer answer = std::unexpected(Failure{});
  if (co_await link->wait_up(deadline)) {
    auto told = co_await link->ask(std::move(message), deadline);
    if (told) {
      answer = Told{.message = std::move(*told), .hub = link->hub().value_or(net::Endpoint{})};
    } else {
      answer = std::unexpected(std::move(told.error()));
    }
  } else {
    const std::string& why = link->status().last_error;
    answer = failed(control->now() >= deadline ? Errc::timed_out : Errc::link_lost,
                    why.empty() ? "no link to the hub yet" : why);
  }
  // The question goes back to where it came from, and is destroyed there.
  const net::Loop::Poster back = question->asked_from;
  back.post([question = std::move(question), answer = std::move(answer)]() mutable {
    question->answer = std::move(answer);
    question->gate.open();
  });
}

net::awaitable<Lookup::Answer> Lookup::ask_from(net::Loop& loop, MemberMessage message,
                                                net::TimePoint deadline) const {
  auto question = std::make_shared<Question>(loop);
  control_.post([link = link_, control = &control_, message = std::move(message), deadline,
                 question]() mutable {
    net::spawn(
        *control, "question to the hub",
        ask_hub(std::move(link), control, std::move(message), deadline, std::move(question)));
  });
  if (!co_await question->gate.wait_until(deadline)) {
    co_return failed(Errc::timed_out, "the hub did not answer in time");
  }
  co_return std::move(question->answer);
}

net::awaitable<std::expected<std::vector<Host>, Failure>> Lookup::resolve(
    net::Loop& loop, std::string service, net::TimePoint deadline) const {
  MemberMessage message;
  message.mutable_resolve()->set_service(service);
  auto answer = co_await ask_from(loop, std::move(message), deadline);
  if (!answer) {
    // The hub does not repeat what it was asked for; a person needs the name.
    Failure& failure = answer.error();
    if (failure.code == Errc::no_such_service || failure.code == Errc::not_hosted) {
      failure.detail = "\"" + service + "\": " + failure.detail;
    }
    co_return std::unexpected(std::move(failure));
  }
  if (!answer->message.has_resolved()) {
    co_return failed(Errc::link_lost, "the hub answers something else than it was asked");
  }
  const auto& resolved = answer->message.resolved();
  const auto& owners = resolved.owners();
  std::vector<Host> hosts;
  bool foreign = false;
  for (const auto& host : resolved.hosts()) {
    const bool sound = host.instance().size() == kInstanceBytes &&
                       host.spki_sha256().size() == kSpkiBytes &&
                       valid_service_name(host.member()) && host.instance() != member_->instance;
    const bool owner = std::ranges::find(owners, host.spki_sha256()) != owners.end();
    foreign = foreign || (sound && !owner);
    if (sound && owner && hosts.size() < kMaxHosts) {
      hosts.push_back(
          {.member = host.member(), .instance = host.instance(), .spki = host.spki_sha256()});
    }
  }
  if (hosts.empty()) {
    co_return foreign ? failed(Errc::not_permitted,
                               "the agent that hosts \"" + service + "\" does not own the name")
                      : failed(Errc::not_hosted, "no other agent hosts \"" + service + "\" now");
  }
  std::minstd_rand random{std::random_device{}()};
  std::ranges::shuffle(hosts, random);
  co_return hosts;
}

net::awaitable<std::expected<Meeting, Failure>> Lookup::connect(net::Loop& loop,
                                                                std::string instance,
                                                                net::TimePoint deadline) const {
  MemberMessage message;
  message.mutable_connect()->set_instance(instance);
  auto answer = co_await ask_from(loop, std::move(message), deadline);
  if (!answer) {
    co_return std::unexpected(answer.error());
  }
  if (!answer->message.has_ticket() || answer->message.ticket().ticket().size() != kTicketBytes) {
    co_return failed(Errc::link_lost, "the hub's answer is no ticket");
  }
  co_return Meeting{.hub = answer->hub, .ticket = answer->message.ticket().ticket()};
}

}  // namespace simplon::overlay
