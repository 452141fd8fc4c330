// A reading of HTTP/1.1 messages that shares nothing with lib/http, for the fuzz targets
// `smuggling` and `responses`: once to the letter of RFC 9112, and once as the sender meant it,
// with what the RFC lets a receiver forgive. What neither reads as a message may not be forwarded
// as one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>

namespace simplon::fuzz {

inline void require(bool holds, std::source_location at = std::source_location::current()) {
  if (holds) return;
  std::fprintf(stderr, "%s:%u does not hold\n", at.file_name(), at.line());
  std::abort();
}

enum class Rules : std::uint8_t {
  letter,     ///< what we write: no fold, no list of lengths, no extension, nothing hop-by-hop
  forgiving,  ///< what we may accept: those, HTTP/1.0, and empty lines before a request
};

/// What requests and responses have in common: fields, framing, bodies.
class MessageReader {
 public:
  explicit MessageReader(Rules rules) : rules_(rules) {}

  void feed(std::string_view bytes) { in_ += bytes; }

  /// What came is no HTTP/1.1 by these rules.
  bool faulty() const { return faulty_; }

 protected:
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

  enum class Framed : std::uint8_t { never, by_length, by_either };

  // The fields behind the first line; calls visit(name in lower case, value) for those that do not
  // frame the body. By_length: HTTP/1.0, where nothing is chunked.
  template <class Visit>
  void read_fields(View head, Framed framed, Visit visit) {
    length_.reset();
    chunked_ = false;
    while (!head.empty() && !faulty_) {
      std::string field(take_line(head));
      while (forgiving() && (head.starts_with(' ') || head.starts_with('\t'))) {
        field.append(" ").append(trim(take_line(head)));
      }
      const auto [name, value] = read_field(field);
      if (name == "content-length" && framed != Framed::never) {
        read_length(value);
      } else if (name == "transfer-encoding" && framed != Framed::never) {
        check(!chunked_ && framed == Framed::by_either && lower(value) == "chunked");
        chunked_ = true;
      } else {
        visit(View(name), value);
      }
    }
  }

  std::pair<std::string, View> read_field(View line) {
    const std::size_t colon = line.find(':');
    View name = line.substr(0, colon);
    while (blanks_before_colon_ && (name.ends_with(' ') || name.ends_with('\t'))) {
      name.remove_suffix(1);
    }
    if (colon == View::npos || !is_token(name)) {
      check(false);
      return {};
    }
    return {lower(name), trim(line.substr(colon + 1))};
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

  // Where the framed body that begins at `at` ends, or nothing while it has not; `body` is what
  // came of it.
  std::optional<std::size_t> body_end(std::size_t at, std::string& body) {
    const View in = in_;
    if (!chunked_) {
      const std::uint64_t length = length_.value_or(0);
      body = in.substr(at, length);
      return body.size() == length ? std::optional(at + length) : std::nullopt;
    }
    for (std::size_t line; (line = in.find("\r\n", at)) != View::npos;) {
      const auto size = chunk_size(in.substr(at, line - at));
      if (!size) return std::nullopt;
      at = line + 2;
      if (*size == 0) return trailers_end(at);
      body += in.substr(at, *size);
      if (in.size() - at < *size || in.size() - at - *size < 2) return std::nullopt;
      at += *size;
      check(in.substr(at, 2) == "\r\n");
      if (faulty_) return std::nullopt;
      at += 2;
    }
    return std::nullopt;
  }

  Rules rules_;
  bool blanks_before_colon_ = false;  // RFC 9112 §5.1: refused in requests, removed from responses
  std::string in_;
  std::optional<std::uint64_t> length_;
  bool chunked_ = false;

 private:
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

  bool faulty_ = false;
};

}  // namespace simplon::fuzz
