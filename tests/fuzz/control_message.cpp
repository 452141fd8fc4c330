// A peer's bytes on the control channel and in an enrollment are messages or an error.
#include "overlay/embedded/control_message.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include <simplon/link/v1/link.pb.h>

#include "net/memory.hpp"

namespace {

using namespace simplon;

template <class Message>
net::awaitable<void> read_all(net::StreamPtr stream, bool* ended) {
  Message message;
  while (true) {
    const auto got = co_await overlay::read_message(stream, &message);
    if (!got || !*got) {
      break;
    }
    if (!overlay::encode_message(message)) std::abort();
  }
  *ended = true;
}

template <class Message>
void feed(std::span<const std::byte> bytes) {
  base::ManualClock clock;
  net::Loop loop{clock};
  const auto [near, far] = net::make_memory_pair(loop, 1024 * 1024);
  bool ended = false;
  if (!near->try_write(bytes)) return;
  near->shutdown_send();
  net::spawn(loop, "read", read_all<Message>(far, &ended));
  while (loop.poll() > 0) {
  }
  if (!ended) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
  switch (data[0] % 4) {
    case 0:
      feed<link::v1::MemberMessage>(bytes);
      break;
    case 1:
      feed<link::v1::HubMessage>(bytes);
      break;
    case 2:
      feed<link::v1::EnrollRequest>(bytes);
      break;
    default:
      feed<link::v1::EnrollResponse>(bytes);
  }
  return 0;
}
