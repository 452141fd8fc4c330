// Opening a stream to a service, over any net::Stream (PROTOCOL.md, "Opening a stream").
//
// Dialer: start_open() writes the open and wraps the stream; bytes may be written at once, reads
// would block until the host has answered. Host: read_open(), then make_inbound().
// Threads: everything is for the stream's loop.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "overlay/network.hpp"

namespace simplon::overlay {

/// Of an open or of its status, without the two bytes of length.
inline constexpr std::size_t kMaxOpenMessage = 4096;
/// How long a host waits for the open of a new stream.
inline constexpr std::chrono::seconds kOpenDeadline{5};

struct OpenRequest {
  std::string service;
  StreamKind kind = StreamKind::http;
  std::string connection_id;  ///< at most 64 bytes, printable ASCII
  std::string on_behalf_of;   ///< at most 256 bytes, printable ASCII
  bool frontend = false;      ///< opened for a frontend

  bool operator==(const OpenRequest&) const = default;
};

/// What a dial says of itself.
OpenRequest open_request(const DialOptions& options);

/// Two bytes of length (big endian) and the message. invalid_argument: a field breaks its limits.
base::Result<std::string> encode_open(const OpenRequest& request);
/// `message` is without its length. protocol_error: not an Open, or a field breaks its limits.
base::Result<OpenRequest> decode_open(std::span<const std::byte> message);

/// The host's answer. A detail that would be too long is cut.
std::string encode_accept();
std::string encode_refusal(const Refusal& refusal);
/// Nothing inside: accepted.
base::Result<std::optional<Refusal>> decode_status(std::span<const std::byte> message);

/// Collects one length-prefixed message from a stream without reading beyond it.
class MessageReader {
 public:
  /// Reads what is there. True once the message is whole; false: would block.
  /// Errors: protocol_error (length 0 is allowed, over kMaxOpenMessage is not), truncated (the
  /// stream ended early), or the stream's own.
  base::Result<bool> read(net::Stream& stream);
  std::span<const std::byte> message() const { return body_; }
  /// For the fuzzer and for tests: the same from bytes; returns how many it took.
  base::Result<std::size_t> feed(std::span<const std::byte> bytes);
  bool done() const { return have_prefix_ == 2 && filled_ == body_.size(); }

 private:
  std::span<std::byte> room();
  base::Result<void> filled(std::size_t count);

  std::array<std::byte, 2> prefix_{};
  std::size_t have_prefix_ = 0;
  std::size_t filled_ = 0;
  std::vector<std::byte> body_;
};

struct Opened {
  net::StreamPtr stream;
  std::shared_ptr<OpenStatus> status;
};

/// Dialer: sends the open on a fresh stream. The stream inside the result settles the status, reads
/// nothing before it, and fails reads and writes with the refusal's code after a refusal.
base::Result<Opened> start_open(net::StreamPtr stream, const OpenRequest& request);

/// Host: the open of a fresh stream. On an error the caller resets the stream with it.
net::awaitable<base::Result<OpenRequest>> read_open(net::StreamPtr stream, net::TimePoint deadline);

/// Host: what the handler of a listener gets. accept() and reject() write the status; reject() and
/// dropping it unanswered close the stream after it.
std::unique_ptr<Inbound> make_inbound(net::StreamPtr stream, OpenRequest request, Identity from);

}  // namespace simplon::overlay
