// A reading of requests that shares nothing with lib/http, for the fuzz target `smuggling`: once as
// the origin, to the letter of RFC 9112, and once as the client meant it, with what the RFC lets a
// server forgive. What neither reads as a request may not be forwarded as one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace simplon::fuzz {

inline void require(bool holds) {
  if (!holds) std::abort();
}

enum class Rules : std::uint8_t {
  letter,     ///< what we write: no fold, no list of lengths, no extension, nothing hop-by-hop
  forgiving,  ///< what we may accept: those, HTTP/1.0, and empty lines before a request
};

struct ReadRequest {
  std::string raw;
  std::string method;
  std::string body;
  bool operator==(const ReadRequest& other) const {
    return method == other.method && body == other.body;
  }
};

class RequestReader {
 public:
  explicit RequestReader(Rules rules) : rules_(rules) {}

  void feed(std::string_view bytes) { in_ += bytes; }

  /// The next request, or nothing until it is whole, and never again after a fault.
  std::optional<ReadRequest> next() {
    std::size_t start = 0;
    while (forgiving() && std::string_view(in_).substr(start).starts_with("\r\n")) start += 2;
    const std::size_t head = in_.find("\r\n\r\n", start);
    if (head == std::string::npos) check(is_text(in_));
    if (head == std::string::npos || faulty_) return std::nullopt;
    ReadRequest request;
    read_head(std::string_view(in_).substr(start, head + 2 - start), request);
    if (faulty_) return std::nullopt;
    const auto end = body_end(head + 4, request.body);
    if (!end || faulty_) return std::nullopt;
    request.raw = in_.substr(0, *end);
    in_.erase(0, *end);
    begun_ = false;
    return request;
  }

  /// What came is no HTTP/1.1 by these rules.
  bool faulty() const { return faulty_; }

  /// The head of a request whose body has not all come; once for each, nothing otherwise.
  std::optional<std::string> begun() {
    const std::size_t head = in_.find("\r\n\r\n");
    if (begun_ || faulty_ || head == std::string::npos) return std::nullopt;
    begun_ = true;
    return in_.substr(0, head + 4);
  }
  /// It waits for a 100.
  bool expects() const { return expects_; }

 private:
  using View = std::string_view;

  bool forgiving() const { return rules_ == Rules::forgiving; }
  void check(bool holds) { faulty_ = faulty_ || !holds; }

  static bool is_token(View text) {
    constexpr View kMarks = "!#$%&'*+-.^_`|~";
    for (const char c : text) {
      const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
      if (!plain && kMarks.find(c) == View::npos) return false;
    }
    return !text.empty();
  }

  // No byte that some reader takes for a line's end, nor a control byte.
  static bool is_text(View text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      const auto c = static_cast<unsigned char>(text[i]);
      const bool cr = c == '\r' && (i + 1 == text.size() || text[i + 1] == '\n');
      const bool lf = c == '\n' && i > 0 && text[i - 1] == '\r';
      if (!cr && !lf && c != '\t' && (c < 0x20 || c == 0x7f)) return false;
    }
    return true;
  }

  static std::string lower(View text) {
    std::string out(text);
    for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return out;
  }

  static View trim(View text) {
    constexpr View kBlank = " \t";
    const std::size_t first = text.find_first_not_of(kBlank);
    return first == View::npos ? View{}
                               : text.substr(first, text.find_last_not_of(kBlank) + 1 - first);
  }

  static View take_line(View& text) {
    const std::size_t end = text.find("\r\n");
    const View line = text.substr(0, end);
    text.remove_prefix(end + 2);
    return line;
  }

  void read_head(View head, ReadRequest& request) {
    check(is_text(head));
    const View line = take_line(head);
    const std::size_t first = line.find(' ');
    const std::size_t last = line.rfind(' ');
    if (first == View::npos || first == last) return check(false);
    request.method = line.substr(0, first);
    check(is_token(request.method));
    const View target = line.substr(first + 1, last - first - 1);
    check(!target.empty() && target.find_first_of(" \t") == View::npos);
    check(forgiving() || target.front() == '/' || target == "*");
    const View version = line.substr(last + 1);
    const bool old = forgiving() && version == "HTTP/1.0";
    check(old || version == "HTTP/1.1");

    length_.reset();
    chunked_ = expects_ = false;
    int hosts = 0;
    while (!head.empty() && !faulty_) {
      std::string field(take_line(head));
      while (forgiving() && (head.starts_with(' ') || head.starts_with('\t'))) {
        field.append(" ").append(trim(take_line(head)));
      }
      const auto [name, value] = read_field(field);
      if (name == "content-length") {
        read_length(value);
      } else if (name == "transfer-encoding") {
        check(!chunked_ && !old && lower(value) == "chunked");
        chunked_ = true;
      } else if (name == "host") {
        ++hosts;
      } else if (name == "expect") {
        expects_ = lower(value) == "100-continue";
        check(forgiving() || expects_);
      } else if (name == "connection") {
        check(forgiving() || lower(value) == "upgrade" || lower(value) == "te");
      }
    }
    check(!(chunked_ && length_) && (hosts == 1 || (old && hosts == 0)));
  }

  std::pair<std::string, View> read_field(View line) {
    const std::size_t colon = line.find(':');
    if (colon == View::npos || !is_token(line.substr(0, colon))) {
      check(false);
      return {};
    }
    return {lower(line.substr(0, colon)), trim(line.substr(colon + 1))};
  }

  // RFC 9112 §6.3: a list of the same length may be taken for one.
  void read_length(View value) {
    check(forgiving() || (!length_ && value.find(',') == View::npos));
    for (std::size_t comma = 0; comma != View::npos;) {
      comma = value.find(',');
      const auto length = number(trim(value.substr(0, comma)), 10, 18);
      check(length && (!length_ || *length_ == *length));
      length_ = length;
      if (comma != View::npos) value.remove_prefix(comma + 1);
    }
  }

  static std::optional<std::uint64_t> number(View text, unsigned base, std::size_t digits) {
    constexpr View kDigits = "0123456789abcdef";
    if (text.empty() || text.size() > digits) return std::nullopt;
    std::uint64_t out = 0;
    for (const char c : lower(text)) {
      const std::size_t digit = kDigits.substr(0, base).find(c);
      if (digit == View::npos) return std::nullopt;
      out = out * base + digit;
    }
    return out;
  }

  // Where the body that begins at `at` ends, or nothing while it has not.
  std::optional<std::size_t> body_end(std::size_t at, std::string& body) {
    if (!chunked_) {
      const std::uint64_t length = length_.value_or(0);
      if (in_.size() - at < length) return std::nullopt;
      body = in_.substr(at, length);
      return at + length;
    }
    const View in = in_;
    for (std::size_t line; (line = in.find("\r\n", at)) != View::npos;) {
      const auto size = chunk_size(in.substr(at, line - at));
      if (!size) return std::nullopt;
      at = line + 2;
      if (*size == 0) return trailers_end(at);
      if (in.size() - at < *size || in.size() - at - *size < 2) return std::nullopt;
      body += in.substr(at, *size);
      at += *size;
      check(in.substr(at, 2) == "\r\n");
      if (faulty_) return std::nullopt;
      at += 2;
    }
    return std::nullopt;
  }

  std::optional<std::uint64_t> chunk_size(View line) {
    const std::size_t end = line.find_first_of("; \t");
    const auto size = number(line.substr(0, end), 16, 16);
    check(size.has_value() && is_text(line) && (end == View::npos || forgiving()));
    if (end != View::npos) {
      const View extension = trim(line.substr(end));
      check(extension.empty() || extension.front() == ';');
      bool quoted = false;
      for (std::size_t i = 0; i < extension.size(); ++i) {
        if (quoted && extension[i] == '\\') {
          ++i;
        } else if (extension[i] == '"') {
          quoted = !quoted;
        }
      }
      check(!quoted);
    }
    return faulty_ ? std::nullopt : size;
  }

  std::optional<std::size_t> trailers_end(std::size_t at) {
    for (std::size_t line; (line = in_.find("\r\n", at)) != std::string::npos; at = line + 2) {
      if (line == at) return at + 2;
      const View text = View(in_).substr(at, line - at);
      check(is_text(text));
      const auto name = read_field(text).first;
      check(forgiving() || (name != "content-length" && name != "transfer-encoding" &&
                            name != "host" && name != "connection"));
      if (faulty_) return std::nullopt;
    }
    return std::nullopt;
  }

  Rules rules_;
  std::string in_;
  std::optional<std::uint64_t> length_;
  bool chunked_ = false;
  bool expects_ = false;
  bool begun_ = false;
  bool faulty_ = false;
};

}  // namespace simplon::fuzz
