// A stream that begins before there is anything below it: what a host holds of a connection that it
// has not answered yet. OpenZiti carries no byte before the answer.
//
// Until arrive() reads and writes would block; then everything is the stream's below; after fail()
// they fail. Ownership, threads and cancellation are those of a Stream.
#pragma once

#include <functional>

#include "net/stream.hpp"

namespace simplon::overlay::ziti {

class LateStream final : public net::Stream, private net::Waiter, private net::EndWatcher {
 public:
  /// `given_up` is called when this end is closed or reset before anything arrived.
  LateStream(net::Loop& loop, std::move_only_function<void()> given_up);
  ~LateStream() override;

  /// Once; a stream that was given up resets what arrives.
  void arrive(net::StreamPtr below);
  /// Nothing will arrive.
  void fail(std::error_code why);

  net::Result<std::size_t> try_read(std::span<std::byte> into) override;
  net::Result<std::size_t> try_write(std::span<const net::Buffer> from) override;
  using Stream::try_write;
  void shutdown_send() override;
  bool carries_reason() const override;
  const net::Peer* peer() const override;

 protected:
  void start_wait(net::Event event) override;
  void stop_wait(net::Event event) override;
  void start_end_watch() override;
  void do_close() override;
  void do_reset(std::error_code reason) override;

 private:
  void ready(net::Event event, std::error_code error) override;
  void ended() override;
  void let_go();

  std::move_only_function<void()> given_up_;
  net::StreamPtr below_;
  std::error_code failure_;
  bool send_ended_ = false;
  bool watched_ = false;
};

}  // namespace simplon::overlay::ziti
