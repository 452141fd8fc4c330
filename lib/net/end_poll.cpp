#include "net/end_poll.hpp"

#include <cerrno>
#include <system_error>
#include <utility>

#include <sys/epoll.h>

namespace simplon::net {
namespace {

constexpr int kMostInATurn = 64;  // of many sockets that end at once

int make_epoll() {
  const int fd = ::epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) {
    throw std::system_error(errno, std::generic_category(), "epoll_create1");
  }
  return fd;
}

}  // namespace

EndPoll::EndPoll(boost::asio::io_context& context) : epoll_(context, make_epoll()) {}

bool EndPoll::add(int socket, Watched& watched) {
  epoll_event event{};
  event.events = EPOLLRDHUP | EPOLLET;  // and always EPOLLERR and EPOLLHUP
  event.data.ptr = &watched;
  if (::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_ADD, socket, &event) != 0) {
    return false;
  }
  wait();
  return true;
}

void EndPoll::remove(int socket) {
  epoll_event unused{};
  ::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_DEL, socket, &unused);
}

void EndPoll::wait() {
  if (std::exchange(waiting_, true)) {
    return;
  }
  epoll_.async_wait(boost::asio::posix::descriptor_base::wait_read,
                    [weak = weak_from_this()](boost::system::error_code error) {
                      if (const auto self = weak.lock(); self && !error) {
                        self->waiting_ = false;
                        self->look();
                        self->wait();
                      }
                    });
}

// One by one: whoever is told may remove another.
void EndPoll::look() {
  for (int i = 0; i < kMostInATurn; ++i) {
    epoll_event event{};
    if (::epoll_wait(epoll_.native_handle(), &event, 1, 0) != 1) {
      return;
    }
    static_cast<Watched*>(event.data.ptr)->end_seen(event.events);
  }
}

}  // namespace simplon::net
