// Messages of the control channel and of enrollment on a byte stream (PROTOCOL.md, "Control
// channel"): four bytes of length, big endian, then one protobuf message.
//
// Ownership: a ControlWriter belongs to the one who sends on the stream. Threads: the stream's
// loop. Cancellation: destroying a ControlWriter drops what the stream has not taken yet.
#pragma once

#include <cstddef>
#include <string>
#include <system_error>

#include <google/protobuf/message_lite.h>

#include "net/async.hpp"
#include "net/stream.hpp"

namespace simplon::overlay {

/// Of one message, without its length.
inline constexpr std::size_t kMaxControlMessage = 64 * 1024;
/// Of messages that the peer does not read; then its stream is reset.
inline constexpr std::size_t kMaxControlBacklog = 256 * 1024;

/// The message behind its length. limit_exceeded: longer than `limit`.
base::Result<std::string> encode_message(const google::protobuf::MessageLite& message,
                                         std::size_t limit = kMaxControlMessage);

/// The next message into `into`, which must outlive the call; reads nothing beyond it. False: the
/// stream ended between two messages. Waits as long as the stream's receive deadline says.
/// Errors: limit_exceeded (longer than `limit`), protocol_error (empty, or not such a message),
/// truncated (the end came inside a message), or the stream's own.
net::awaitable<base::Result<bool>> read_message(net::StreamPtr stream,
                                                google::protobuf::MessageLite* into,
                                                std::size_t limit = kMaxControlMessage);

/// Sends messages in order without ever waiting: what the stream does not take is kept, up to
/// kMaxControlBacklog.
class ControlWriter final : private net::Waiter {
 public:
  explicit ControlWriter(net::StreamPtr stream) : stream_(std::move(stream)) {}
  ~ControlWriter();
  ControlWriter(const ControlWriter&) = delete;
  ControlWriter& operator=(const ControlWriter&) = delete;

  /// Errors: limit_exceeded (the message is too long, or the backlog: then the stream is reset), or
  /// the stream's own, each time once it has failed.
  base::Result<void> write(const google::protobuf::MessageLite& message);
  std::size_t backlog() const { return backlog_.size() - sent_; }

 private:
  void ready(net::Event event, std::error_code error) override;
  void push();

  const net::StreamPtr stream_;
  std::string backlog_;
  std::size_t sent_ = 0;  // of the backlog
  bool waiting_ = false;
  std::error_code failed_;
};

}  // namespace simplon::overlay
