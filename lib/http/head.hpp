// The heads of requests and responses: flat text with offsets, and their incremental parsers.
//
// Beast's basic_parser does the grammar; what it lets pass and HTTP/1.1 does not is refused here
// and in framing.hpp. Beast stays inside head.cpp.
//
// Ownership: plain values; the views that they hand out die with the next change of the object.
// Reusing one object keeps its memory, so a connection's second head allocates nothing.
// Threads: none of their own.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/limits.hpp"

namespace simplon::http {

/// The fields that a proxy treats in some way of its own.
enum class Name : std::uint8_t {
  other,
  accept,
  authorization,
  connection,
  content_length,
  content_location,
  cookie,
  date,
  expect,
  forwarded,
  host,
  http2_settings,
  keep_alive,
  location,
  max_forwards,
  origin,
  proxy_authenticate,
  proxy_authorization,
  proxy_connection,
  referer,
  set_cookie,
  simplon_error,
  te,
  trailer,
  transfer_encoding,
  upgrade,
  via,
  x_forwarded_for,
  x_forwarded_host,
  x_forwarded_port,
  x_forwarded_proto,
  x_real_ip,
};
Name name_of(std::string_view text) noexcept;

struct Field {
  Name id;
  std::string_view name;  ///< as the sender wrote it
  std::string_view value;
};

/// Header or trailer fields in their order, any number of one name.
class Fields {
 public:
  std::size_t size() const { return slots_.size(); }
  bool empty() const { return slots_.empty(); }
  Field operator[](std::size_t index) const;

  /// The first field of that name.
  std::optional<std::string_view> find(Name id) const;
  std::optional<std::string_view> find(std::string_view name) const;
  std::size_t count(Name id) const;
  /// Whether some field of that name lists the token (RFC 9110 §5.6.1), in any case.
  bool lists(Name id, std::string_view token) const;

  void add(std::string_view name, std::string_view value) { add(name_of(name), name, value); }
  void add(Name id, std::string_view name, std::string_view value);
  void clear();

  class Iterator {
   public:
    Iterator(const Fields& fields, std::size_t index) : fields_(&fields), index_(index) {}
    Field operator*() const { return (*fields_)[index_]; }
    Iterator& operator++() {
      ++index_;
      return *this;
    }
    bool operator==(const Iterator& other) const { return index_ == other.index_; }

   private:
    const Fields* fields_;
    std::size_t index_;
  };
  Iterator begin() const { return {*this, 0}; }
  Iterator end() const { return {*this, size()}; }

 private:
  struct Slot {
    std::uint32_t name;
    std::uint32_t value;
    std::uint32_t end;
    Name id;
  };
  std::string text_;
  std::vector<Slot> slots_;
};

struct RequestHead {
  std::string method;
  std::string target;
  int minor = 1;  ///< HTTP/1.minor
  Fields fields;
  void clear();
};

struct ResponseHead {
  int status = 0;
  std::string reason;
  int minor = 1;
  Fields fields;
  void clear();
};

/// How far a parse() came: drop `consumed` bytes, and when not `done` call again with the rest and
/// more behind it.
struct Parsed {
  std::size_t consumed = 0;
  bool done = false;
};

/// One after the other, request heads of one connection. A head that arrives in parts may be
/// consumed at its end only, so the caller's buffer must hold `limits.head_bytes`, which is also
/// all that is taken. A verdict (400, 414, 431, 505) ends the connection.
class RequestParser {
 public:
  explicit RequestParser(const Limits& limits);
  ~RequestParser();
  RequestParser(RequestParser&&) noexcept;

  /// Forgets the last head; must be called between heads.
  void reset();
  /// True once something else than an empty line before the request has arrived.
  bool started() const;
  std::expected<Parsed, Verdict> parse(std::string_view in, RequestHead& head);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The same for responses; every verdict has status 502.
class ResponseParser {
 public:
  explicit ResponseParser(const Limits& limits);
  ~ResponseParser();
  ResponseParser(ResponseParser&&) noexcept;

  void reset();
  bool started() const;
  std::expected<Parsed, Verdict> parse(std::string_view in, ResponseHead& head);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Parses one `name: value` line of a trailer section (without its line end) into `fields`; false
/// if it is malformed or folded.
bool parse_field_line(std::string_view line, Fields& fields);

}  // namespace simplon::http
