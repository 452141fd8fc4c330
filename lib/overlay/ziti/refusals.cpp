#include "overlay/ziti/refusals.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace simplon::overlay::ziti {
namespace {

using base::Errc;
using base::Failure;
using base::Hop;
using Kind = EdgeErrorKind;

constexpr std::size_t kMaxName = 256;
// Of a rejection's words: routers and controllers wrap them twice, and log them.
constexpr std::size_t kMaxWords = 200;
// Of the network's own words in a message.
constexpr std::size_t kMaxQuoted = 200;

struct Row {
  Kind kind;
  std::string_view contains;  ///< of the network's words; empty: any
  Errc code;
  std::string_view dial;  ///< the sentence, behind `"service": `
  std::string_view host;
  std::string_view advice;
};

// The first row that fits counts.
constexpr std::array kRows{
    Row{Kind::invalid_session, "no such service session", Errc::link_lost,
        "the router does not know the session that the controller made for it",
        "the router does not know the session that the controller made for it",
        "a new one is asked for; if this goes on, the router has lost its controller"},
    Row{Kind::invalid_session, "token is malformed", Errc::link_lost,
        "the router cannot read the session's token", "the router cannot read the session's token",
        "controller and router are of versions that do not go together"},
    Row{Kind::invalid_session, "JWT", Errc::link_lost,
        "the router does not accept the session's token",
        "the router does not accept the session's token",
        "a new one is asked for; if this goes on, compare the clocks of controller and router"},
    Row{Kind::invalid_session, "session type", Errc::link_lost,
        "the session is of the wrong type for a dial", "the session is of the wrong type to host",
        "a new one is asked for; the policies may have just changed"},
    Row{Kind::invalid_session,
        {},
        Errc::link_lost,
        "the session for it is not valid any more",
        "the session for it is not valid any more",
        "a new one is asked for"},
    Row{Kind::login_refused,
        {},
        Errc::link_lost,
        "the router does not accept this identity's login",
        "the router does not accept this identity's login",
        "the controller is asked, and it logs in again if the login has ended; if this goes on, "
        "the "
        "router has lost its controller, or its clock is wrong"},
    Row{Kind::no_such_service,
        {},
        Errc::no_such_service,
        "the network has no such service for this identity",
        "the network has no such service for this identity",
        "create the service and a service policy that names this identity"},
    Row{Kind::no_terminators,
        {},
        Errc::not_hosted,
        "none of its hosts is connected",
        "it has no place at the network now",
        "start its host, and see that a Bind policy allows it"},
    Row{Kind::encryption_missing,
        {},
        Errc::not_permitted,
        "the service wants end-to-end encryption, and one side brought no key",
        "the service wants end-to-end encryption, and one side brought no key",
        "let both sides encrypt, or create the service without it"},
    Row{Kind::not_permitted,
        {},
        Errc::not_permitted,
        "this identity may not dial it",
        "this identity may not host it",
        "a service policy of the network has to allow it"},
    Row{Kind::posture,
        {},
        Errc::not_permitted,
        "a posture check of the service's policy failed for this identity",
        "a posture check of the service's policy failed for this identity",
        "Simplon answers no posture checks: use a policy without them"},
    Row{Kind::no_controller,
        {},
        Errc::link_lost,
        "the router has no controller to ask at the moment",
        "the router has no controller to ask at the moment",
        "it is tried again; if this goes on, look at the link between router and controller"},
    Row{Kind::host_refused, "invalid token", Errc::host_refused,
        "the host does not know the session that this dial came through",
        "the host does not know the session that this dial came through",
        "the host binds again by itself; try again soon"},
    Row{Kind::host_refused, "no listener", Errc::not_hosted, "the host does not host it any more",
        "the host does not host it any more", "start its host again"},
    Row{Kind::host_refused,
        {},
        Errc::host_refused,
        "its host refused the connection",
        "its host refused the connection",
        "look at the host's own log"},
    Row{Kind::revoked, "dial access", Errc::not_permitted, "the right to dial it was taken away",
        "the right to dial it was taken away", "a service policy of the network has to allow it"},
    Row{Kind::revoked, "bind access", Errc::not_permitted, "the right to host it was taken away",
        "the right to host it was taken away", "a service policy of the network has to allow it"},
    Row{Kind::revoked,
        {},
        Errc::link_lost,
        "the network ended the session for it",
        "the network ended the session for it",
        "a new one is asked for"},
    Row{Kind::timed_out,
        {},
        Errc::timed_out,
        "no answer in time",
        "the network did not take it up in time",
        "its host or a router is overloaded or cut off"},
    Row{Kind::link_lost,
        {},
        Errc::link_lost,
        "the connection to the router was lost",
        "the connection to the router was lost",
        "it is made again; if this goes on, see that the router's address is reachable from here"},
    Row{Kind::protocol,
        {},
        Errc::link_lost,
        "the router breaks the protocol",
        "the router breaks the protocol",
        "see that its version is supported"},
    Row{Kind::other,
        {},
        Errc::link_lost,
        "the network refused",
        "the network refused",
        "look at the router's log"},
};

const Row& row_of(const EdgeError& error) {
  for (const Row& row : kRows) {
    if (row.kind == error.kind && error.text.find(row.contains) != std::string::npos) {
      return row;
    }
  }
  return kRows.back();
}

struct Named {
  Errc code;
  std::string_view name;
};

// What a host refuses with. Names are the protocol's: they do not change.
constexpr std::array kNames{
    Named{Errc::host_refused, "host_refused"},
    Named{Errc::not_permitted, "not_permitted"},
    Named{Errc::not_hosted, "not_hosted"},
    Named{Errc::no_such_service, "no_such_service"},
    Named{Errc::timed_out, "timed_out"},
    Named{Errc::link_lost, "link_lost"},
    Named{Errc::target_refused, "target_refused"},
    Named{Errc::target_unreachable, "target_unreachable"},
    Named{Errc::target_timed_out, "target_timed_out"},
    Named{Errc::draining, "draining"},
    Named{Errc::memory, "memory"},
    Named{Errc::limit_exceeded, "limit_exceeded"},
    Named{Errc::bad_certificate, "bad_certificate"},
    Named{Errc::handshake_failed, "handshake_failed"},
    Named{Errc::name_not_found, "name_not_found"},
};

constexpr std::string_view kMark = "simplon: ";

Hop hop_of(Errc code) {
  switch (code) {
    case Errc::target_refused:
    case Errc::target_unreachable:
    case Errc::target_timed_out:
    case Errc::bad_certificate:
    case Errc::handshake_failed:
    case Errc::name_not_found:
      return Hop::target;
    default:
      return Hop::share;
  }
}

// Of long words the begin and the end: controllers and routers wrap what the host said, last.
std::string quoted(std::string_view text) {
  if (text.size() <= kMaxQuoted) {
    return printable(text, kMaxQuoted);
  }
  constexpr std::size_t kBegin = kMaxQuoted / 4;
  constexpr std::size_t kEnd = kMaxQuoted - kBegin;
  return printable(text.substr(0, kBegin), kBegin) + " ... " +
         printable(text.substr(text.size() - kEnd), kEnd);
}

}  // namespace

Failure explain(const EdgeError& error, Attempted attempted, std::string_view service) {
  const Row& row = row_of(error);
  std::string detail = "\"" + printable(service, kMaxName) + "\": ";
  detail += attempted == Attempted::dial ? row.dial : row.host;
  if (!error.text.empty()) {
    detail += " (" + quoted(error.text) + ")";
  }
  detail += "; ";
  detail += row.advice;
  return {.hop = Hop::overlay, .code = row.code, .detail = std::move(detail)};
}

Refusal dial_refusal(const EdgeError& error, std::string_view service) {
  if (auto said = decode_rejection(error.text)) {
    return *std::move(said);
  }
  // OpenZiti moves no byte before the host has answered.
  return {.failure = explain(error, Attempted::dial, service), .not_processed = true};
}

std::string encode_rejection(const Refusal& refusal) {
  std::string_view name = kNames.front().name;
  for (const Named& known : kNames) {
    if (refusal.failure.code == known.code) {
      name = known.name;
    }
  }
  std::string words = printable(refusal.failure.detail, kMaxWords);
  // The network puts parentheses around it: the first one that closes is its end.
  std::ranges::replace(words, '(', '[');
  std::ranges::replace(words, ')', ']');
  return std::string(kMark) + std::string(name) + ": " + words;
}

std::optional<Refusal> decode_rejection(std::string_view text) {
  const auto at = text.find(kMark);
  if (at == std::string_view::npos) {
    return std::nullopt;
  }
  text.remove_prefix(at + kMark.size());
  text = text.substr(0, text.find(')'));
  const auto colon = text.find(": ");
  const std::string_view name = text.substr(0, colon);
  const auto* known = std::ranges::find(kNames, name, &Named::name);
  const bool of_later = known == kNames.end();
  const Errc code = of_later ? Errc::host_refused : known->code;
  const std::string_view words =
      colon == std::string_view::npos ? std::string_view() : text.substr(colon + 2);
  return Refusal{
      .failure = {.hop = hop_of(code), .code = code, .detail = printable(words, kMaxWords)},
      .not_processed = true};
}

}  // namespace simplon::overlay::ziti
