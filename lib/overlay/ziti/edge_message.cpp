#include "overlay/ziti/edge_message.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include <nlohmann/json.hpp>

namespace simplon::overlay::ziti {
namespace {

using Kind = EdgeErrorKind;

struct Meaning {
  Kind kind;
  bool retry;
  bool new_session;
};

constexpr Meaning kOther{Kind::other, false, false};

// Header 1014, and `code` of the structured error.
constexpr std::array kByCode{
    kOther,
    Meaning{Kind::other, true, false},           // 1 internal
    Meaning{Kind::login_refused, true, true},    // 2 invalid API session
    Meaning{Kind::invalid_session, true, true},  // 3 invalid session
    Meaning{Kind::invalid_session, true, true},  // 4 wrong session type
    Meaning{Kind::invalid_session, true, true},  // 5 invalid router for session
    Meaning{Kind::no_such_service, false, false},
    kOther,                                      // 7 tunneling not enabled
    Meaning{Kind::no_terminators, true, false},  // 8 invalid terminator
    kOther,                                      // 9 invalid precedence
    kOther,                                      // 10 invalid cost
    Meaning{Kind::encryption_missing, false, false},
    Meaning{Kind::login_refused, true, true},  // 12 invalid API-session type
    kOther,                                    // 13 invalid instance id
    Meaning{Kind::not_permitted, false, false},
    Meaning{Kind::posture, false, false},
};

struct Phrase {
  std::string_view text;  // in lower case
  Meaning meaning;
};

// A host's own words are inside this text, and may be any of the other phrases.
constexpr std::string_view kTerminatorFailed = "failed to establish connection with terminator";

// In order: the first that the text contains decides. The texts differ from version to version.
constexpr std::array kPhrases{
    Phrase{"no terminators", {Kind::no_terminators, true, false}},
    Phrase{"newer terminator", {Kind::other, false, false}},
    Phrase{"encryption required", {Kind::encryption_missing, false, false}},
    Phrase{"posture", {Kind::posture, false, false}},
    Phrase{"no access to service", {Kind::not_permitted, false, false}},
    Phrase{"access denied", {Kind::not_permitted, false, false}},
    Phrase{"no controller available", {Kind::no_controller, true, false}},
    Phrase{"session closed", {Kind::revoked, true, true}},
    Phrase{"session ended", {Kind::revoked, true, true}},
    Phrase{"session removed", {Kind::revoked, true, true}},
    Phrase{"access lost", {Kind::revoked, true, true}},
    Phrase{"invalid api session", {Kind::login_refused, true, true}},
    Phrase{"invalid session", {Kind::invalid_session, true, true}},
    Phrase{"incorrect session type", {Kind::invalid_session, true, true}},
    Phrase{"service session token", {Kind::invalid_session, true, true}},
    Phrase{"service token", {Kind::invalid_session, true, true}},
    Phrase{"token is malformed", {Kind::invalid_session, true, true}},
    Phrase{"token is expired", {Kind::invalid_session, true, true}},
    Phrase{"no such service", {Kind::no_such_service, false, false}},
    Phrase{"service not found", {Kind::no_such_service, false, false}},
    Phrase{"invalid token", {Kind::host_refused, false, false}},
    Phrase{"no listener for conn", {Kind::host_refused, true, false}},
    Phrase{"timeout", {Kind::timed_out, true, false}},
    Phrase{"timed out", {Kind::timed_out, true, false}},
};

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

EdgeError error(Meaning meaning, std::string_view text) {
  return {.kind = meaning.kind,
          .text = printable(text),
          .retry = meaning.retry,
          .new_session = meaning.new_session};
}

bool timed_out(std::string_view text) {
  return text.contains("timeout") || text.contains("timed out") ||
         text.contains("deadline exceeded");
}

std::optional<std::uint32_t> number(const nlohmann::json& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() && at->is_number_unsigned()
             ? std::optional(static_cast<std::uint32_t>(
                   std::min<std::uint64_t>(at->get<std::uint64_t>(), 0xffff)))
             : std::nullopt;
}

}  // namespace

std::string_view to_string(EdgeErrorKind kind) noexcept {
  switch (kind) {
    case Kind::login_refused:
      return "login refused";
    case Kind::invalid_session:
      return "invalid session";
    case Kind::no_such_service:
      return "no such service";
    case Kind::no_terminators:
      return "no terminators";
    case Kind::encryption_missing:
      return "encryption missing";
    case Kind::not_permitted:
      return "not permitted";
    case Kind::posture:
      return "posture check failed";
    case Kind::no_controller:
      return "no controller";
    case Kind::host_refused:
      return "host refused";
    case Kind::revoked:
      return "revoked";
    case Kind::timed_out:
      return "timed out";
    case Kind::link_lost:
      return "link lost";
    case Kind::protocol:
      return "protocol error";
    case Kind::other:
      break;
  }
  return "refused";
}

EdgeError refusal_of(std::string_view text) {
  // Long ones may quote what was sent; what they mean is said early.
  const std::string words = lower(text.substr(0, 4 * kMaxErrorText));
  if (words.contains(kTerminatorFailed)) {
    // No host answered in time, unless it says of itself that something timed out.
    const bool silent = timed_out(words) && !words.contains("simplon:");
    return error({silent ? Kind::timed_out : Kind::host_refused, silent, false}, text);
  }
  for (const Phrase& phrase : kPhrases) {
    if (words.contains(phrase.text)) {
      return error(phrase.meaning, text);
    }
  }
  return error(kOther, text);
}

EdgeError refusal_of(const FrameView& frame) {
  std::string text(frame.text());
  std::optional<std::uint32_t> code = frame.number(header::kErrorCode);
  std::uint32_t hint = 0;
  if (const std::string_view details = frame.string(header::kStructuredError);
      !details.empty() && details.size() <= 16UL * 1024) {
    // No nesting is looked into, so none is built.
    const auto flat = [](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
      return depth <= 2;
    };
    const auto parsed = nlohmann::json::parse(details, flat, false);
    if (parsed.is_object()) {
      code = number(parsed, "code").or_else([&] { return code; });
      hint = number(parsed, "retryHint").value_or(0);
      const auto message = parsed.find("message");
      if (text.empty() && message != parsed.end() && message->is_string()) {
        text = message->get<std::string>();
      }
    }
  }
  EdgeError out = refusal_of(text);
  const bool coded = code && *code < kByCode.size() && kByCode[*code].kind != Kind::other;
  if (coded && out.kind != Kind::host_refused && out.kind != Kind::timed_out) {
    out = error(kByCode[*code], text);
  }
  if (out.text.empty()) {
    out.text = to_string(out.kind);
  }
  switch (hint) {
    case 1:  // too busy
      out.retry = true;
      break;
    case 2:  // start over
      out.retry = true;
      out.new_session = true;
      break;
    case 3:
      out.retry = false;
      out.new_session = false;
      break;
    default:
      break;
  }
  return out;
}

}  // namespace simplon::overlay::ziti
