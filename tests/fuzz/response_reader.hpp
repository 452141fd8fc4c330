// Responses as a client reads them, or as their origin meant them (message_reader.hpp).
#pragma once

#include <algorithm>
#include <vector>

#include "message_reader.hpp"

namespace simplon::fuzz {

/// What a reader of a response must know of its request.
struct Asked {
  std::string method;
  bool old = false;  ///< HTTP/1.0: no chunks, no interim responses
};

struct ReadResponse {
  std::vector<std::string> interim;  ///< heads
  std::string head;                  ///< empty until it has come
  int status = 0;
  std::string body;       ///< what came of it; of a 101 all that followed
  bool closes = false;    ///< nothing may follow
  bool complete = false;  ///< a client would take it for the whole
};

class ResponseReader : public MessageReader {
 public:
  explicit ResponseReader(Rules rules) : MessageReader(rules) {
    blanks_before_colon_ = forgiving();
  }

  /// The sender ended its direction, in order.
  void end() { ended_ = true; }

  /// What came of the response to that request. A complete one is taken: what is left() belongs to
  /// the next.
  ReadResponse next(const Asked& asked) {
    ReadResponse out;
    std::size_t at = 0;
    for (std::size_t head; !faulty() && (head = in_.find("\r\n\r\n", at)) != std::string::npos;) {
      const View text = View(in_).substr(at, head + 2 - at);
      const int status = read_head(text, asked, out.closes);
      at = head + 4;
      if (faulty()) break;
      if (status / 100 == 1 && status != 101) {
        check(forgiving() || !asked.old);
        out.interim.emplace_back(text);
        continue;
      }
      out.head = text;
      out.status = status;
      const auto end = body(at, asked, out);
      out.complete = end && !faulty();
      if (out.complete) in_.erase(0, *end);
      return out;
    }
    check(is_text(View(in_).substr(at)));
    return out;
  }

  const std::string& left() const { return in_; }

 private:
  int read_head(View head, const Asked& asked, bool& closes) {
    check(is_text(head));
    const View line = take_line(head);
    const View version = line.substr(0, line.find(' '));
    const bool old = forgiving() && version == "HTTP/1.0";
    check(old || version == "HTTP/1.1");
    const View rest = line.substr(std::min<std::size_t>(line.size(), 8));  // " 200 reason"
    const auto status = number(rest.substr(std::min<std::size_t>(rest.size(), 1), 3), 10, 3);
    check(rest.starts_with(' ') && status && *status >= 100);
    check(rest.size() > 4 ? rest[4] == ' ' : forgiving() && rest.size() == 4);
    if (faulty()) return 0;
    closes = old;
    const bool interim = *status / 100 == 1;
    const auto framed = interim && forgiving() ? Framed::never
                        : old                  ? Framed::by_length
                                               : Framed::by_either;
    read_fields(head, framed, [&](View name, View value) {
      if (name == "connection") {
        const std::string option = lower(value);
        check(forgiving() || option == "close" || option == "upgrade" || option == "keep-alive");
        closes = closes || option == "close";
      }
    });
    check(!(chunked_ && length_));
    check(forgiving() || !(chunked_ && asked.old));
    check(forgiving() || !((interim || *status == 204) && (chunked_ || length_)));
    return static_cast<int>(*status);
  }

  std::optional<std::size_t> body(std::size_t at, const Asked& asked, ReadResponse& out) {
    if (out.status == 101) {
      out.body = in_.substr(at);
      out.closes = true;
      return in_.size();
    }
    if (asked.method == "HEAD" || out.status == 204 || out.status == 304) return at;
    // RFC 9110 §15.3.6: whatever is framed behind it is not its content.
    if (out.status == 205 && forgiving()) return at;
    if (chunked_ || length_) return body_end(at, out.body);
    out.closes = true;
    out.body = in_.substr(at);
    return ended_ ? std::optional(in_.size()) : std::nullopt;
  }

  bool ended_ = false;
};

}  // namespace simplon::fuzz
