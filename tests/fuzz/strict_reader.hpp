// An origin's own reading of requests, which shares nothing with lib/http: what it does not accept
// to the letter of RFC 9112 must never reach an origin. For the fuzz target `smuggling`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

namespace simplon::fuzz {

inline void require(bool holds) {
  if (!holds) std::abort();
}

class StrictReader {
 public:
  void feed(std::string_view bytes) { in_ += bytes; }

  /// The bytes of the next complete request, or nothing until it is.
  std::optional<std::string> next() {
    const std::size_t head = in_.find("\r\n\r\n");
    if (head == std::string::npos) {
      check_text(in_);
      return std::nullopt;
    }
    read_head(std::string_view(in_).substr(0, head + 2));
    const auto end = body_end(head + 4);
    if (!end) return std::nullopt;
    std::string whole = in_.substr(0, *end);
    in_.erase(0, *end);
    begun_ = false;
    return whole;
  }

  /// The head of a request whose body has not all come; once for each, nothing otherwise.
  std::optional<std::string> begun() {
    const std::size_t head = in_.find("\r\n\r\n");
    if (begun_ || head == std::string::npos) return std::nullopt;
    begun_ = true;
    return in_.substr(0, head + 4);
  }
  /// It waits for a 100.
  bool expects() const { return expects_; }

 private:
  static bool token(char c) {
    constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           kMarks.find(c) != std::string_view::npos;
  }

  static bool is_token(std::string_view text) {
    for (const char c : text) {
      if (!token(c)) return false;
    }
    return !text.empty();
  }

  // No byte that some reader takes for a line's end, nor a control byte, even in an unfinished
  // head.
  static void check_text(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      const auto c = static_cast<unsigned char>(text[i]);
      if (c == '\r') {
        require(i + 1 == text.size() || text[i + 1] == '\n');
      } else if (c == '\n') {
        require(i > 0 && text[i - 1] == '\r');
      } else {
        require(c == '\t' || (c >= 0x20 && c != 0x7f));
      }
    }
  }

  static std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return out;
  }

  void read_head(std::string_view head) {
    check_text(head);
    std::size_t end = head.find("\r\n");
    const std::string_view line = head.substr(0, end);
    const std::size_t first = line.find(' ');
    const std::size_t last = line.rfind(' ');
    require(first != std::string_view::npos && first < last);
    require(is_token(line.substr(0, first)));
    const std::string_view target = line.substr(first + 1, last - first - 1);
    require(!target.empty() && target.find_first_of(" \t") == std::string_view::npos);
    require(target.front() == '/' || target == "*");
    require(line.substr(last + 1) == "HTTP/1.1");

    length_.reset();
    chunked_ = expects_ = false;
    int hosts = 0;
    while ((head = head.substr(end + 2)), !head.empty()) {
      end = head.find("\r\n");
      const auto [name, value] = read_field(head.substr(0, end));
      if (name == "content-length") {
        require(!length_ && !chunked_);
        length_ = decimal(value);
      } else if (name == "transfer-encoding") {
        require(!length_ && !chunked_ && value == "chunked");
        chunked_ = true;
      } else if (name == "host") {
        ++hosts;
      } else if (name == "expect") {
        require(lower(value) == "100-continue");
        expects_ = true;
      } else {
        require(name != "connection" || lower(value) == "upgrade" || lower(value) == "te");
      }
    }
    require(hosts == 1);
  }

  static std::pair<std::string, std::string_view> read_field(std::string_view line) {
    const std::size_t colon = line.find(':');
    require(colon != std::string_view::npos && is_token(line.substr(0, colon)));
    std::string_view value = line.substr(colon + 1);
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t'))
      value.remove_prefix(1);
    while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
    return {lower(line.substr(0, colon)), value};
  }

  static std::uint64_t decimal(std::string_view text) {
    require(!text.empty() && text.size() < 19);
    std::uint64_t out = 0;
    for (const char c : text) {
      require(c >= '0' && c <= '9');
      out = out * 10 + static_cast<std::uint64_t>(c - '0');
    }
    return out;
  }

  // Where the body that begins at `at` ends, or nothing while it has not.
  std::optional<std::size_t> body_end(std::size_t at) const {
    if (!chunked_) {
      const std::uint64_t end = at + length_.value_or(0);
      return end <= in_.size() ? std::optional<std::size_t>(end) : std::nullopt;
    }
    for (;;) {
      const std::size_t line = in_.find("\r\n", at);
      if (line == std::string::npos) return std::nullopt;
      const std::uint64_t size = hexadecimal(std::string_view(in_).substr(at, line - at));
      at = line + 2;
      if (size == 0) break;
      if (in_.size() - at < size + 2) return std::nullopt;
      require(std::string_view(in_).substr(at + size, 2) == "\r\n");
      at += size + 2;
    }
    for (;;) {
      const std::size_t line = in_.find("\r\n", at);
      if (line == std::string::npos) return std::nullopt;
      if (line == at) return at + 2;
      check_text(std::string_view(in_).substr(at, line - at));
      const auto field = read_field(std::string_view(in_).substr(at, line - at));
      require(field.first != "content-length" && field.first != "transfer-encoding" &&
              field.first != "host");
      at = line + 2;
    }
  }

  static std::uint64_t hexadecimal(std::string_view text) {
    require(!text.empty() && text.size() <= 16);
    std::uint64_t out = 0;
    for (const char c : text) {
      const bool digit = c >= '0' && c <= '9';
      require(digit || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'));
      out = out * 16 + static_cast<std::uint64_t>(digit ? c - '0' : (c & ~0x20) - 'A' + 10);
    }
    return out;
  }

  std::string in_;
  std::optional<std::uint64_t> length_;
  bool chunked_ = false;
  bool expects_ = false;
  bool begun_ = false;
};

}  // namespace simplon::fuzz
