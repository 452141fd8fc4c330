// Any bytes of a peer end a session at worst, in both roles, and leave no memory accounted for. The
// first byte chooses the role and what the session's user does.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "net/memory.hpp"
#include "overlay/embedded/session.hpp"

namespace {

using namespace simplon;

/// Reads some, answers some, and then ends each stream in one of the ways there are.
class User final : public net::Waiter {
 public:
  User(net::StreamPtr stream, unsigned habits) : stream_(std::move(stream)), habits_(habits) {
    stream_->wait(net::Event::readable, *this);
  }
  ~User() { stream_->cancel_wait(net::Event::readable); }

 private:
  void ready(net::Event, std::error_code) override {
    std::array<std::byte, 100> piece{};
    const auto got = stream_->try_read(piece);
    if (got && *got != 0) {
      const auto put = stream_->try_write(net::Buffer(piece).first(*got));
      if (put && *put > *got) std::abort();
    }
    if (habits_ & 1) stream_->shutdown_send();
    if (habits_ & 2) stream_->close();
    if (habits_ & 4) stream_->reset(net::Errc::target_refused);
    if (!stream_->closed() && got && *got != 0) stream_->wait(net::Event::readable, *this);
  }
  net::StreamPtr stream_;
  unsigned habits_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const unsigned habits = data[0];
  const auto budget = std::make_shared<overlay::MemoryBudget>(64 * 1024);
  {
    base::ManualClock clock;
    net::Loop loop(clock);
    auto [near, far] = net::make_memory_pair(loop, 4096);
    std::vector<std::unique_ptr<User>> users;
    int ends = 0;
    auto session = overlay::Session::start(
        near, (habits & 8) ? overlay::SessionRole::client : overlay::SessionRole::server,
        {.budget = budget, .max_streams = 20, .max_unacknowledged = 2},
        {.inbound =
             [&](net::StreamPtr stream) {
               if (!(habits & 16)) users.push_back(std::make_unique<User>(stream, habits));
             },
         .ended = [&](std::error_code) { ++ends; }});
    for (int i = 0; i < 4; ++i) {  // the last two wait for acknowledgements
      if (auto ours = session->open_stream()) {
        (*ours)->try_write(net::as_buffer("open")).value_or(0);
        if ((habits & 1) && i == 2) (*ours)->close();
        users.push_back(std::make_unique<User>(*ours, habits));
      }
    }
    net::Buffer rest = std::as_bytes(std::span(data + 1, size - 1));
    while (!rest.empty()) {
      const auto put = far->try_write(rest);
      if (!put) break;
      rest = rest.subspan(*put);
      while (loop.poll() > 0) {
      }
      std::array<std::byte, 4096> answers;
      while (!(habits & 32) && far->try_read(answers).value_or(0) != 0) {
        loop.poll();
      }
    }
    if (habits & 64) session->close();
    if (habits & 128) clock.advance(overlay::kDeadAfter);
    while (loop.poll() > 0) {
    }
    if (ends > 1 || (session->alive() && ends != 0)) std::abort();
    session.reset();
    users.clear();
  }
  if (budget->used() != 0 || budget->promised() != 0) std::abort();
  return 0;
}
