// Requests as an origin reads them, or as their client meant them (message_reader.hpp).
#pragma once

#include "message_reader.hpp"

namespace simplon::fuzz {

struct ReadRequest {
  std::string raw;
  std::string method;
  std::string body;
  bool operator==(const ReadRequest& other) const {
    return method == other.method && body == other.body;
  }
};

class RequestReader : public MessageReader {
 public:
  using MessageReader::MessageReader;

  /// The next request, or nothing until it is whole, and never again after a fault.
  std::optional<ReadRequest> next() {
    std::size_t start = 0;
    while (forgiving() && View(in_).substr(start).starts_with("\r\n")) start += 2;
    const std::size_t head = in_.find("\r\n\r\n", start);
    if (head == std::string::npos) check(is_text(in_));
    if (head == std::string::npos || faulty()) return std::nullopt;
    ReadRequest request;
    read_head(View(in_).substr(start, head + 2 - start), request);
    if (faulty()) return std::nullopt;
    const auto end = body_end(head + 4, request.body);
    if (!end || faulty()) return std::nullopt;
    request.raw = in_.substr(0, *end);
    in_.erase(0, *end);
    begun_ = false;
    return request;
  }

  /// The head of a request whose body has not all come; once for each, nothing otherwise.
  std::optional<std::string> begun() {
    const std::size_t head = in_.find("\r\n\r\n");
    if (begun_ || faulty() || head == std::string::npos) return std::nullopt;
    begun_ = true;
    return in_.substr(0, head + 4);
  }
  /// Nothing of a further request has come.
  bool empty() const { return in_.empty(); }
  /// It waits for a 100.
  bool expects() const { return expects_; }

 private:
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

    expects_ = false;
    int hosts = 0;
    read_fields(head, old ? Framed::by_length : Framed::by_either, [&](View name, View value) {
      if (name == "host") {
        ++hosts;
      } else if (name == "expect") {
        expects_ = lower(value) == "100-continue";
        check(forgiving() || expects_);
      } else if (name == "connection") {
        check(forgiving() || lower(value) == "upgrade" || lower(value) == "te");
      }
    });
    check(!(chunked_ && length_) && (hosts == 1 || (old && hosts == 0)));
  }

  bool expects_ = false;
  bool begun_ = false;
};

}  // namespace simplon::fuzz
