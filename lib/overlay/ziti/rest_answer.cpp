#include "overlay/ziti/rest_answer.hpp"

#include <algorithm>
#include <array>

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

namespace simplon::overlay::ziti {
namespace {

namespace http = boost::beast::http;
using base::Errc;
using nlohmann::json;

constexpr int kMaxDepth = 32;
// A server that keeps saying "go on" answers nothing.
constexpr int kMaxInformational = 8;

std::string to_std(boost::beast::string_view text) { return {text.data(), text.size()}; }

bool too_deep(std::string_view text) {
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      i += c == '\\' ? 1 : 0;
      quoted = c != '"';
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxDepth) {
        return true;
      }
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

/// What a controller's error says, and what a person can do.
struct Advice {
  std::string_view name;
  Errc code;
  std::string_view words;
};

constexpr std::array kAdvice = {
    Advice{
        "INVALID_AUTH", Errc::not_permitted,
        "the controller does not accept this identity: it was disabled or deleted, or belongs to "
        "another network; look at it there, or enroll again"},
    Advice{"UNAUTHORIZED", Errc::not_permitted, "the controller does not know our login any more"},
    Advice{"NO_EDGE_ROUTERS_AVAILABLE", Errc::link_lost,
           "no edge router may carry this service for this identity, or none is online; the "
           "network's edge-router policies decide"},
    Advice{"INVALID_POSTURE", Errc::not_permitted,
           "a posture check of the network is not passed, and Simplon answers none; a service "
           "policy without posture checks is needed"},
    Advice{"INVALID_ENROLLMENT_TOKEN", Errc::not_permitted,
           "the one-time token was used already, or the controller does not know it; ask for a new "
           "one"},
    Advice{"ENROLLMENT_EXPIRED", Errc::not_permitted,
           "the one-time token has expired; ask for a "
           "new one"},
    Advice{"COULD_NOT_PROCESS_CSR", Errc::not_permitted,
           "the controller does not sign a certificate for this request"},
    Advice{"CLUSTER_NO_LEADER", Errc::link_lost,
           "the controllers have no leader now and take no changes; this passes when they do"},
    Advice{"SERVER_TOO_MANY_REQUESTS", Errc::link_lost, "the controller asks for fewer requests"},
    Advice{"RATE_LIMITED", Errc::link_lost, "the controller asks for fewer requests"},
};

Errc code_of(unsigned status) {
  switch (status) {
    case 401:
    case 403:
      return Errc::not_permitted;
    case 404:
      return Errc::no_such_service;
    default:
      return Errc::link_lost;
  }
}

// The reason of a field that the controller refused, which `cause` holds.
std::string cause_of(const json& error) {
  const auto cause = error.find("cause");
  if (cause == error.end() || !cause->is_object()) {
    return text_at(error, "causeMessage");
  }
  std::string text = text_at(*cause, "reason");
  return text.empty() ? text_at(*cause, "message") : text;
}

ApiError refused(const RestAnswer& answer, const json& error) {
  ApiError out{.status = answer.status, .code = code_of(answer.status)};
  out.name = printable(text_at(error, "code"), 64);
  std::string message = printable(text_at(error, "message"));
  if (out.name.empty()) {
    // As OAuth's endpoints say it (RFC 6749 §5.2).
    out.name = printable(text_at(error, "error"), 64);
    message = printable(text_at(error, "error_description"));
  }
  const std::string cause = printable(cause_of(error));
  const auto* const advice = std::ranges::find(kAdvice, out.name, &Advice::name);
  if (advice != kAdvice.end()) {
    out.code = advice->code;
    out.words = std::string(advice->words);
  } else if (absl::AsciiStrToLower(cause).find("service not found") != std::string::npos) {
    out.code = Errc::not_permitted;
    out.words =
        "no permission for this service, or it does not exist any more; a service policy of the "
        "network grants it (Dial to reach it, Bind to host it)";
  } else {
    out.words = absl::StrCat("the controller refused");
  }
  absl::StrAppend(&out.words, " (HTTP ", answer.status);
  for (const auto& part : {out.name, message, cause}) {
    if (!part.empty()) {
      absl::StrAppend(&out.words, ", ", part);
    }
  }
  out.words += ")";
  return out;
}

}  // namespace

std::string text_at(const json& object, const char* key) {
  if (!object.is_object()) {
    return {};
  }
  const auto at = object.find(key);
  return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}

json parse_json(std::string_view text) {
  if (text.size() > kMaxAnswerBody || too_deep(text)) {
    return json(json::value_t::discarded);
  }
  return json::parse(text, nullptr, /*allow_exceptions=*/false);
}

ApiResult read_envelope(const RestAnswer& answer, std::string_view url, bool whole) {
  json object = parse_json(answer.body);
  if (!object.is_object()) {
    ApiError error{.status = answer.status, .code = Errc::link_lost};
    const std::string kind =
        answer.content_type.empty() ? "something" : printable(answer.content_type, 64);
    if (answer.status == 401 || answer.status == 429 || answer.status >= 500) {
      error.words = absl::StrCat("HTTP ", answer.status, " with ", kind, " from ", printable(url),
                                 ", which is not how a controller answers: a "
                                 "proxy before it, or it is starting");
    } else {
      // Not passing: whoever answers so will go on.
      error.words =
          absl::StrCat(printable(url), " answered with ", kind, ", not JSON (HTTP ", answer.status,
                       "): no controller of OpenZiti is there; check the address");
    }
    return std::unexpected(std::move(error));
  }
  const auto error = object.find("error");
  if (answer.status < 200 || answer.status >= 300 ||
      (error != object.end() && error->is_object())) {
    const json& about = error != object.end() && error->is_object() ? *error : object;
    return std::unexpected(refused(answer, about));
  }
  if (whole) {
    return object;
  }
  const auto data = object.find("data");
  if (data == object.end() || (!data->is_object() && !data->is_array())) {
    return std::unexpected(
        ApiError{.status = answer.status,
                 .code = Errc::link_lost,
                 .words = absl::StrCat(printable(url),
                                       " answered with JSON that is no answer of "
                                       "OpenZiti's API; check the address")});
  }
  return json(std::move(*data));
}

struct AnswerReader::Parser {
  Parser() { start(); }
  void start() {
    http.emplace();
    http->header_limit(kMaxAnswerHead);
    http->body_limit(kMaxAnswerBody);
    http->eager(true);
  }
  // Done, and not just informational.
  bool whole() { return http->is_done() && http->get().result_int() / 100 != 1; }

  std::optional<http::response_parser<http::string_body>> http;
  std::string pending;  // not taken yet: part of a head or of a chunk's
  int informational = 0;
};

AnswerReader::AnswerReader() : parser_(std::make_unique<Parser>()) {}
AnswerReader::~AnswerReader() = default;

base::Result<bool> AnswerReader::put(std::string_view bytes) {
  Parser& parser = *parser_;
  parser.pending.append(bytes);
  while (!parser.whole()) {
    if (parser.http->is_done()) {
      if (++parser.informational > kMaxInformational) {
        return base::fail(Errc::protocol_error);
      }
      parser.start();
    }
    // "0\r\n\r\n" is the least that ends a chunked body, and Beast asserts that it has as much.
    const bool chunks = parser.http->is_header_done() && parser.http->chunked();
    if (parser.pending.size() < (chunks ? 5U : 1U)) {
      return false;
    }
    boost::beast::error_code error;
    std::size_t taken = 0;
    try {
      taken = parser.http->put(boost::asio::buffer(parser.pending.data(), parser.pending.size()),
                               error);
    } catch (const std::exception&) {  // an assertion of Beast's, which the answer provoked
      return base::fail(Errc::protocol_error);
    }
    parser.pending.erase(0, taken);
    if (error == http::error::need_more || (!error && taken == 0 && !parser.http->is_done())) {
      // Beast bounds heads and bodies, and no line between a body's chunks.
      return parser.pending.size() > kMaxAnswerHead
                 ? base::Result<bool>(base::fail(Errc::limit_exceeded))
                 : false;
    }
    if (error == http::error::body_limit || error == http::error::header_limit ||
        error == http::error::buffer_overflow) {
      return base::fail(Errc::limit_exceeded);
    }
    if (error) {
      return base::fail(Errc::protocol_error);
    }
  }
  return true;
}

base::Result<void> AnswerReader::end() {
  Parser& parser = *parser_;
  if (!parser.whole() && parser.http->got_some() && !parser.http->is_done()) {
    boost::beast::error_code error;
    try {
      parser.http->put_eof(error);
    } catch (const std::exception&) {
      return base::fail(Errc::protocol_error);
    }
  }
  return parser.whole() ? base::Result<void>() : base::fail(Errc::truncated);
}

RestAnswer AnswerReader::take() {
  Parser& parser = *parser_;
  RestAnswer out;
  out.keep_alive = parser.http->keep_alive() && parser.pending.empty();
  auto message = parser.http->release();
  out.status = message.result_int();
  out.content_type = absl::AsciiStrToLower(to_std(message[http::field::content_type]));
  out.location = to_std(message[http::field::location]);
  out.date = to_std(message[http::field::date]);
  out.body = std::move(message.body());
  return out;
}

}  // namespace simplon::overlay::ziti
