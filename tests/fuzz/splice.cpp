// Two ends that do anything in any order to a splice between them: what arrives is what was sent,
// in order, an end of stream comes only after all of it, and nothing crashes.
#include "net/splice.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "net/memory.hpp"

namespace {

using namespace simplon::net;

// One side's user.
struct End {
  StreamPtr stream;
  std::size_t sent = 0;
  std::size_t received = 0;
  bool ended_in_order = false;  // sending: shutdown_send() or close() after all that was sent
  bool gone = false;            // close() or reset() here

  static std::byte nth(std::size_t n) { return static_cast<std::byte>(n * 7 + n / 251); }

  void write(std::size_t count) {
    std::array<std::byte, 4096> out;
    for (std::size_t i = 0; i < count; ++i) {
      out[i] = nth(sent + i);
    }
    if (const auto put = stream->try_write(Buffer(out).first(count))) {
      sent += *put;
    }
  }
  void read(std::size_t count, const End& other) {
    std::array<std::byte, 4096> in;
    const auto got = stream->try_read(std::span(in).first(count));
    if (!got) {
      return;
    }
    for (std::size_t i = 0; i < *got; ++i) {
      if (in[i] != nth(received + i)) {
        std::abort();
      }
    }
    received += *got;
    if (*got == 0 && (!other.ended_in_order || received != other.sent)) {
      std::abort();
    }
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) {
    return 0;
  }
  simplon::base::ManualClock clock;
  Loop loop(clock);
  const std::size_t capacity = data[0] % 2 == 0 ? 100 : 3000;
  auto [client, a] = make_memory_pair(loop, capacity);
  auto [b, server] = make_memory_pair(loop, capacity);
  std::array<End, 2> ends = {End{client}, End{server}};
  int results = 0;
  SpliceOptions options;
  if (data[0] % 4 >= 2) {
    options.idle_timeout = std::chrono::seconds(60);
  }
  start_splice(a, b, options, [&](SpliceResult result) {
    ++results;
    if ((result.cause == SpliceResult::Cause::ended) != !result.error) {
      std::abort();
    }
  });
  for (std::size_t i = 1; i + 1 < size; i += 2) {
    End& end = ends[data[i] & 1];
    const std::size_t count = 1 + data[i + 1] * 16U % 4096U;
    switch ((data[i] >> 1) % 8) {
      case 0:
      case 1:
        end.write(count);
        break;
      case 2:
      case 3:
        end.read(count, ends[1 - (data[i] & 1)]);
        break;
      case 4:
        loop.poll();
        break;
      case 5:
        end.stream->shutdown_send();
        end.ended_in_order = !end.gone || end.ended_in_order;
        break;
      case 6:
        if (data[i + 1] % 2 == 0) {
          end.stream->close();
          end.ended_in_order = !end.gone || end.ended_in_order;
        } else {
          end.stream->reset();
        }
        end.gone = true;
        break;
      default:
        clock.advance(std::chrono::seconds(data[i + 1]));
        break;
    }
  }
  for (End& end : ends) {
    end.stream->reset();
  }
  while (loop.poll() > 0) {
  }
  if (results != 1) {
    std::abort();
  }
  return 0;
}
