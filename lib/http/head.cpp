#include "http/head.hpp"

#include <algorithm>
#include <exception>

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include "http/text.hpp"

namespace simplon::http {
namespace {

namespace beast = boost::beast;
using beast::http::field;

constexpr std::size_t kLongestMethod = 64;        // none registered is longer than 17
constexpr std::size_t kLongestStatusLine = 4096;  // without an end: what comes is not HTTP
constexpr std::string_view kProtocol = "HTTP/";
constexpr std::size_t kShortStatusLine = std::string_view("HTTP/1.1 200").size();
// RFC 9113 §11.6: no request, but what an HTTP/2 client begins with.
constexpr Verdict kReserved{400, "http2_preface_in_http1"};
constexpr int kEmptyLines = 2;  // tolerated before a request (RFC 9112 §2.2)

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

// Beast has hashed the name already; only names that it does not know are compared here.
Name known(field id, std::string_view text) {
  switch (id) {
    case field::accept:
      return Name::accept;
    case field::authorization:
      return Name::authorization;
    case field::connection:
      return Name::connection;
    case field::content_length:
      return Name::content_length;
    case field::content_location:
      return Name::content_location;
    case field::cookie:
      return Name::cookie;
    case field::date:
      return Name::date;
    case field::expect:
      return Name::expect;
    case field::forwarded:
      return Name::forwarded;
    case field::host:
      return Name::host;
    case field::http2_settings:
      return Name::http2_settings;
    case field::keep_alive:
      return Name::keep_alive;
    case field::location:
      return Name::location;
    case field::max_forwards:
      return Name::max_forwards;
    case field::origin:
      return Name::origin;
    case field::proxy_authenticate:
      return Name::proxy_authenticate;
    case field::proxy_authorization:
      return Name::proxy_authorization;
    case field::proxy_connection:
      return Name::proxy_connection;
    case field::referer:
      return Name::referer;
    case field::set_cookie:
      return Name::set_cookie;
    case field::te:
      return Name::te;
    case field::trailer:
      return Name::trailer;
    case field::transfer_encoding:
      return Name::transfer_encoding;
    case field::upgrade:
      return Name::upgrade;
    case field::via:
      return Name::via;
    case field::unknown:
      return name_of(text);
    default:
      return Name::other;
  }
}

// Common to both directions: copies what Beast found into the head, within the limits.
template <bool isRequest, class Head>
class BeastParser final : public beast::http::basic_parser<isRequest> {
 public:
  using Base = beast::http::basic_parser<isRequest>;

  explicit BeastParser(const Limits& limits) : limits_(limits) {
    this->body_limit(boost::none);
    this->header_limit(static_cast<std::uint32_t>(limits.head_bytes));
    this->skip(true);  // bodies are ours (body.hpp)
  }

  std::size_t put(std::string_view in, Head& head, beast::error_code& error) {
    head_ = &head;
    return Base::put(boost::asio::const_buffer(in.data(), in.size()), error);
  }

  bool got_start_line() const { return got_start_line_; }
  const std::optional<Verdict>& verdict() const { return verdict_; }

 private:
  using error_code = beast::error_code;
  using string_view = beast::string_view;

  void refuse(int status, std::string_view reason, error_code& error) {
    verdict_ = Verdict{status, reason};
    error = beast::http::error::header_limit;
  }

  void on_request_impl(beast::http::verb, string_view method, string_view target, int version,
                       error_code& error) override {
    if constexpr (isRequest) {
      if (method.size() > kLongestMethod) {
        return refuse(400, "method_too_long", error);
      }
      if (view(method) == "PRI") {
        return refuse(kReserved.status, kReserved.reason, error);
      }
      if (target.size() > limits_.target_bytes) {
        return refuse(414, "target_too_long", error);
      }
      head_->method.assign(view(method));
      head_->target.assign(view(target));
      head_->minor = version % 10;
      got_start_line_ = true;
    }
  }

  void on_response_impl(int status, string_view reason, int version, error_code& error) override {
    if constexpr (!isRequest) {
      if (status < 100 || status > 599) {
        return refuse(502, "bad_status", error);
      }
      head_->status = status;
      head_->reason.assign(view(reason));
      head_->minor = version % 10;
      got_start_line_ = true;
    }
  }

  void on_field_impl(field id, string_view name, string_view value, error_code& error) override {
    if (head_->fields.size() >= limits_.fields) {
      return refuse(431, "too_many_fields", error);
    }
    head_->fields.add(known(id, view(name)), view(name), view(value));
  }

  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(string_view, error_code&) override { return 0; }
  void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, string_view, error_code&) override { return 0; }
  void on_finish_impl(error_code&) override {}

  const Limits& limits_;
  Head* head_ = nullptr;
  bool got_start_line_ = false;
  std::optional<Verdict> verdict_;
};

// A well-formed request line of a version that is not ours: 505 and not 400.
bool names_other_version(std::string_view in) {
  const std::string_view line = in.substr(0, in.find('\r'));
  const std::size_t space = line.rfind(' ');
  const std::string_view version =
      space == std::string_view::npos ? std::string_view{} : line.substr(space + 1);
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return version.size() == 8 && version.starts_with("HTTP/") && digit(version[5]) &&
         version[6] == '.' && digit(version[7]) && version != "HTTP/1.1" && version != "HTTP/1.0";
}

Verdict explain(beast::error_code error, std::string_view in) {
  using beast::http::error;
  if (error == error::header_limit || error == error::buffer_overflow) {
    return {431, "head_too_large"};
  }
  if (in.starts_with("PRI ")) {
    return kReserved;
  }
  if (error == error::bad_version && names_other_version(in)) {
    return {505, "version_not_supported"};
  }
  if (error == error::bad_method) {
    return {400, "bad_method"};
  }
  if (error == error::bad_target) {
    return {400, "bad_target"};
  }
  if (error == error::bad_version || error == error::bad_status || error == error::bad_reason) {
    return {400, "bad_start_line"};
  }
  if (error == error::bad_content_length || error == error::multiple_content_length) {
    return {400, "bad_content_length"};
  }
  if (error == error::bad_transfer_encoding) {
    return {400, "bad_transfer_encoding"};
  }
  return {400, "bad_field"};
}

// Whether whole lines of a head hold a folded field (RFC 9112 §5.2): to some readers its second
// line is a field of its own.
bool is_folded(std::string_view lines) {
  for (;;) {
    const std::size_t end = lines.find('\n');
    if (end == std::string_view::npos) {
      return false;
    }
    lines.remove_prefix(end + 1);
    if (lines.starts_with(' ') || lines.starts_with('\t')) {
      return true;
    }
  }
}

bool is_space(char c) { return c == ' ' || c == '\t'; }

// Whether the text begins, as far as it is here, with a field whose colon has space before it.
bool has_space_before_colon(std::string_view text) {
  const auto name = std::ranges::find_if_not(text, is_token_char);
  const auto after = std::find_if_not(name, text.end(), is_space);
  return name != text.begin() && name != after && (after == text.end() || *after == ':');
}

// Fields without white space in front of their colons.
std::string strip_before_colons(std::string_view fields) {
  std::string out;
  while (!fields.empty()) {
    const std::size_t end = std::min(fields.find('\n'), fields.size() - 1) + 1;
    const std::string_view line = fields.substr(0, end);
    fields.remove_prefix(end);
    const std::size_t colon = has_space_before_colon(line) ? line.find(':') : 0;
    if (colon > 0) {
      out += line.substr(0, line.find_last_not_of(" \t", colon - 1) + 1);
    }
    out += line.substr(colon);
  }
  return out;
}

template <bool isRequest, class Head>
class Parser {
 public:
  explicit Parser(const Limits& limits) : limits_(limits) { reset(); }

  void reset() {
    beast_.emplace(limits_);
    total_ = 0;
    empty_lines_ = 0;
    started_ = false;
  }

  bool started() const { return started_; }

  std::expected<Parsed, Verdict> parse(std::string_view in, Head& head) {
    Parsed result;
    if (!started_) {
      result.consumed = skip_empty_lines(in);
      in.remove_prefix(result.consumed);
      if (in.empty() || (in == "\r" && empty_lines_ < kEmptyLines && isRequest)) {
        return result;
      }
      head.clear();
      started_ = true;
    }
    if (total_ >= limits_.head_bytes) {
      return std::unexpected(Verdict{431, "head_too_large"});
    }
    const std::string_view bounded = in.substr(0, limits_.head_bytes - total_);
    beast::error_code error;
    std::size_t taken = 0;
    try {
      if (!isRequest && !beast_->got_start_line()) {
        if (in.substr(0, kProtocol.size()) != kProtocol.substr(0, in.size())) {
          return std::unexpected(Verdict{502, "bad_start_line"});  // and may never end a line
        }
        if (in.find('\n') == std::string_view::npos && in.size() < kLongestStatusLine) {
          return result;
        }
        taken = put_status_line(bounded, head);
      }
      taken += beast_->put(bounded.substr(taken), head, error);
      if (!isRequest && error == beast::http::error::bad_field) {
        taken += put_stripped(bounded.substr(taken), head, error);
      }
    } catch (const std::exception&) {  // an assertion of Beast's, which a peer provoked
      return std::unexpected(Verdict{400, "bad_message"});
    }
    if (isRequest && is_folded(bounded.substr(0, taken))) {
      return std::unexpected(Verdict{400, "folded_field"});
    }
    total_ += taken;
    result.consumed += taken;
    if (!error) {
      result.done = beast_->is_header_done();
      return result;
    }
    if (beast_->verdict()) {
      return std::unexpected(*beast_->verdict());
    }
    if (error != beast::http::error::need_more) {
      return std::unexpected(explain(error, in));
    }
    // Once Beast has seen a part of a head it parses on at its end only: the line is measured here.
    const std::size_t longest_line = limits_.target_bytes + kLongestMethod;
    if (isRequest && !beast_->got_start_line() && in.size() > longest_line &&
        in.substr(0, longest_line).find('\n') == std::string_view::npos) {
      return std::unexpected(Verdict{414, "target_too_long"});
    }
    if (bounded.size() < in.size() || total_ + in.size() - taken >= limits_.head_bytes) {
      return std::unexpected(Verdict{431, "head_too_large"});
    }
    return result;
  }

 private:
  // "HTTP/1.1 200" without a space behind it is common, and all that Beast misses is that space.
  std::size_t put_status_line(std::string_view in, Head& head) {
    const std::string_view line = in.substr(0, in.find('\r'));
    if (line.size() != kShortStatusLine || !in.substr(line.size()).starts_with("\r\n")) {
      return 0;
    }
    beast::error_code error;
    beast_->put(std::string(line) + " \r\n", head, error);
    return beast_->got_start_line() ? line.size() + 2 : 0;
  }

  // The rest of a response's head, where Beast met a field with space before its colon: that is
  // removed from a response (RFC 9112 §5.1).
  std::size_t put_stripped(std::string_view rest, Head& head, beast::error_code& error) {
    if (!has_space_before_colon(rest)) {
      return 0;
    }
    const std::size_t end = rest.find("\r\n\r\n");
    if (end == std::string_view::npos) {
      error = beast::http::error::need_more;
      return 0;
    }
    const std::size_t size = end + 4;
    beast_->put(strip_before_colons(rest.substr(0, size)), head, error);
    return size;
  }

  std::size_t skip_empty_lines(std::string_view in) {
    std::size_t skipped = 0;
    while (isRequest && empty_lines_ < kEmptyLines && in.substr(skipped).starts_with("\r\n")) {
      skipped += 2;
      ++empty_lines_;
    }
    return skipped;
  }

  Limits limits_;
  std::optional<BeastParser<isRequest, Head>> beast_;
  std::size_t total_ = 0;
  int empty_lines_ = 0;
  bool started_ = false;
};

}  // namespace

struct RequestParser::Impl : Parser<true, RequestHead> {
  using Parser::Parser;
};

RequestParser::RequestParser(const Limits& limits) : impl_(std::make_unique<Impl>(limits)) {}
RequestParser::~RequestParser() = default;
RequestParser::RequestParser(RequestParser&&) noexcept = default;
void RequestParser::reset() { impl_->reset(); }
bool RequestParser::started() const { return impl_->started(); }
std::expected<Parsed, Verdict> RequestParser::parse(std::string_view in, RequestHead& head) {
  return impl_->parse(in, head);
}

struct ResponseParser::Impl : Parser<false, ResponseHead> {
  using Parser::Parser;
};

ResponseParser::ResponseParser(const Limits& limits) : impl_(std::make_unique<Impl>(limits)) {}
ResponseParser::~ResponseParser() = default;
ResponseParser::ResponseParser(ResponseParser&&) noexcept = default;
void ResponseParser::reset() { impl_->reset(); }
bool ResponseParser::started() const { return impl_->started(); }
std::expected<Parsed, Verdict> ResponseParser::parse(std::string_view in, ResponseHead& head) {
  auto parsed = impl_->parse(in, head);
  if (!parsed) {
    return std::unexpected(Verdict{502, parsed.error().reason});
  }
  return parsed;
}

}  // namespace simplon::http
