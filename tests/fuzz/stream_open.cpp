// Any bytes are an open and a status, or errors; what was read is written back as the same; a
// dialer that gets them as its answer settles.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>

#include "net/memory.hpp"
#include "overlay/embedded/open.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace simplon;
  const net::Buffer bytes = std::as_bytes(std::span(data, size));

  if (const auto request = overlay::decode_open(bytes)) {
    const auto written = overlay::encode_open(*request);
    if (!written) std::abort();
    const auto again = overlay::decode_open(net::as_buffer(*written).subspan(2));
    if (!again || *again != *request) std::abort();
  }
  if (const auto status = overlay::decode_status(bytes); status && *status) {
    const std::string written = overlay::encode_refusal(**status);
    const auto again = overlay::decode_status(net::as_buffer(written).subspan(2));
    if (!again || !*again || (*again)->failure.code != (*status)->failure.code) std::abort();
  }

  overlay::MessageReader reader;
  const auto used = reader.feed(bytes);
  if (used && *used > size) std::abort();

  net::Loop loop;
  auto [dialer, host] = net::make_memory_pair(loop, 8192);
  auto opened = overlay::start_open(dialer, {.service = "demo", .connection_id = "c"});
  if (!opened) std::abort();
  host->try_write(bytes).value_or(0);
  host->shutdown_send();
  while (loop.poll() > 0) {
  }
  std::array<std::byte, 64> piece;
  const auto got = opened->stream->try_read(piece);
  using State = overlay::OpenStatus::State;
  const bool fits = size <= 8192;
  if (fits && opened->status->state() == State::pending) std::abort();
  if (opened->status->state() == State::refused && got) std::abort();
  return 0;
}
