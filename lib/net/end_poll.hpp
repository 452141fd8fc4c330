// Tells sockets of their end although nobody reads them: of a failure, and of the end of the peer's
// direction with bytes before it that are still unread. Asio's reactor tells the latter only as
// something to read, which it is all the time while nobody does.
//
// One for each loop, shared by the loop and the sockets that it watches. Threads: the loop's.
// End: with the last of them; then nobody is called any more.
#pragma once

#include <cstdint>
#include <memory>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>

namespace simplon::net {

class EndPoll : public std::enable_shared_from_this<EndPoll> {
 public:
  class Watched {
   public:
    /// The socket failed, or the peer ended its direction (EPOLLRDHUP, EPOLLHUP). Once for each
    /// change, from a handler of the loop.
    virtual void end_seen(std::uint32_t events) = 0;

   protected:
    ~Watched() = default;
  };

  /// Throws std::system_error where the process has no descriptor left.
  explicit EndPoll(boost::asio::io_context& context);
  EndPoll(const EndPoll&) = delete;
  EndPoll& operator=(const EndPoll&) = delete;

  /// From now on, also of what has happened already; false where the kernel watches no more. Must
  /// be removed before the socket is closed.
  bool add(int socket, Watched& watched);
  void remove(int socket);

 private:
  void wait();
  void look();

  boost::asio::posix::basic_stream_descriptor<boost::asio::io_context::executor_type> epoll_;
  bool waiting_ = false;
};

}  // namespace simplon::net
