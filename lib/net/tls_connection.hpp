// The TLS stream itself. Included by tls*.cpp only; users see TlsStream (net/tls.hpp).
//
// OpenSSL reads straight from the transport into its own buffer. What it wants sent is staged in a
// batch, which always takes it, so that OpenSSL never has half a record that waits for the same
// bytes to be offered again; try_write takes nothing while the batch is full. Staged bytes leave by
// themselves when the transport takes them.
// Ownership and threads: as every Stream. Dropped without close(), it resets its transport.
#pragma once

#include "net/buffer_pool.hpp"
#include "net/tls_state.hpp"

namespace simplon::net {

/// Encrypted bytes on their way to the transport; holds no memory when empty.
class TlsBatch {
 public:
  std::size_t size() const { return end_ - begin_ + rest_.size(); }
  void append(Buffer bytes);
  /// What is staged, in order.
  std::array<Buffer, 2> pieces() const;
  void consume(std::size_t count);
  void clear();

 private:
  PooledBuffer buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::vector<std::byte> rest_;  // what did not fit, after what is in buffer_
};

class TlsConnection final : public TlsStream, private Waiter, private EndWatcher {
 public:
  TlsConnection(StreamPtr transport, std::shared_ptr<const TlsContext> context);
  ~TlsConnection() override;

  SSL& ssl() { return *ssl_; }
  /// would_block: wait for Event::readable of this stream, then again.
  Result<void> handshake_step(std::string* why);

  Result<std::size_t> try_read(std::span<std::byte> into) override;
  Result<std::size_t> try_write(std::span<const Buffer> from) override;
  using Stream::try_write;
  void shutdown_send() override;
  bool carries_reason() const override { return transport_->carries_reason(); }
  const Peer* peer() const override { return peer_ ? &*peer_ : nullptr; }
  std::string_view protocol() const override;
  std::string server_name() const override;

 protected:
  void start_wait(Event event) override;
  void stop_wait(Event event) override;
  void start_end_watch() override;
  void do_close() override;
  void do_reset(std::error_code reason) override;

 private:
  struct Bio;  // OpenSSL's view of this object
  enum class Step : std::uint8_t { go_on, blocked };

  /// Of the transport.
  void ready(Event event, std::error_code error) override;
  void ended() override { tell_end_watcher(); }

  Step after_failed_read(int result);
  bool output_full() const;
  void flush();
  void output_failed(std::error_code error);
  void stage_close_notify();
  void finish_close();
  void release_transport();

  const std::shared_ptr<const TlsContext> context_;
  const StreamPtr transport_;
  SslPtr ssl_;
  std::optional<Peer> peer_;
  TlsBatch out_;
  Timer linger_;
  std::error_code input_failure_;    // for good: what reads end with
  std::error_code output_failure_;   // for good: what writes end with
  std::error_code transport_error_;  // of the transport's last read
  bool established_ = false;
  bool broken_ = false;           // OpenSSL must not be asked to send any more
  bool transport_ended_ = false;  // its end of stream was read
  bool input_ended_ = false;      // close_notify
  bool sending_ended_ = false;
  bool blocked_ = false;           // the transport had no more when OpenSSL last asked
  bool write_wants_read_ = false;  // OpenSSL cannot send before it has read more
  bool flushing_ = false;          // waits for the transport to become writable
  bool released_ = false;          // the transport was closed or reset
};

}  // namespace simplon::net
