// Runs coroutines and callbacks of a loop inside a test, on the test's thread.
//
// Time is the loop's clock; the limits here are real time and only end a test that hangs.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "net/async.hpp"

namespace simplon::net::test {

/// A test that makes no progress for so long has failed.
inline constexpr std::chrono::seconds kHang{20};

/// Runs the loop until `done`; false when nothing happens any more.
inline bool run_until(Loop& loop, const std::function<bool()>& done) {
  const auto guard = boost::asio::make_work_guard(loop.context());
  while (!done()) {
    loop.context().restart();
    if (loop.context().run_one_for(kHang) == 0) {
      return false;
    }
  }
  return true;
}

/// Everything that can happen without further input or time has happened. In-memory streams only.
inline void settle(Loop& loop) {
  while (loop.poll() > 0) {
  }
}

template <class T>
awaitable<void> store(awaitable<T> body, std::optional<T>* out) {
  *out = co_await std::move(body);
}

/// Runs the coroutine to its end.
template <class T>
T run(Loop& loop, awaitable<T> body) {
  std::optional<T> out;
  spawn(loop, "test", store(std::move(body), &out));
  if (!run_until(loop, [&] { return out.has_value(); })) {
    ADD_FAILURE() << "the coroutine does not end";
    std::abort();
  }
  return std::move(*out);
}

/// Starts a coroutine whose result is looked at later.
template <class T>
std::shared_ptr<std::optional<T>> start(Loop& loop, awaitable<T> body) {
  auto out = std::make_shared<std::optional<T>>();
  spawn(loop, "test",
        [](awaitable<T> inner, std::shared_ptr<std::optional<T>> to) -> awaitable<void> {
          *to = co_await std::move(inner);
        }(std::move(body), out));
  return out;
}

inline std::string pattern(std::size_t size) {
  std::string out(size, '\0');
  for (std::size_t i = 0; i < size; ++i) {
    out[i] = static_cast<char>((i * 7 + i / 251) & 0xff);
  }
  return out;
}

/// The error of a failed Result; none of one that did not fail.
template <class T>
std::error_code error_of(const Result<T>& result) {
  return result ? std::error_code{} : result.error();
}

/// What there is to read now.
inline std::string read_now(Stream& stream) {
  std::string out;
  std::array<std::byte, 4096> piece;
  for (;;) {
    const auto got = stream.try_read(piece);
    if (!got || *got == 0) {
      return out;
    }
    out.append(reinterpret_cast<const char*>(piece.data()), *got);
  }
}

/// Everything up to the end of the stream, or the error that came instead.
inline awaitable<Result<std::string>> read_to_end(StreamPtr stream) {
  std::string out;
  std::array<std::byte, 16 * 1024> piece;
  for (;;) {
    const auto got = co_await read_some(*stream, piece);
    if (!got) {
      co_return std::unexpected(got.error());
    }
    if (*got == 0) {
      co_return out;
    }
    out.append(reinterpret_cast<const char*>(piece.data()), *got);
  }
}

inline awaitable<Result<std::string>> read_count(StreamPtr stream, std::size_t count) {
  std::string out(count, '\0');
  const auto got = co_await read_exactly(*stream, std::as_writable_bytes(std::span(out)));
  if (!got) {
    co_return std::unexpected(got.error());
  }
  co_return out;
}

/// Writes all of it and then, if told so, ends the direction.
inline awaitable<Result<void>> send(StreamPtr stream, std::string text, bool then_end = false) {
  const auto sent = co_await write_all(*stream, as_buffer(text));
  if (sent && then_end) {
    stream->shutdown_send();
  }
  co_return sent;
}

/// Counts calls of a wait.
class Probe final : public Waiter {
 public:
  void ready(Event, std::error_code given) override {
    ++calls;
    error = given;
  }
  int calls = 0;
  std::error_code error;
};

/// The same for the end of a stream.
class EndProbe final : public EndWatcher {
 public:
  void ended() override { ++calls; }
  void peer_ended() override { ++peer_ends; }
  int calls = 0;
  int peer_ends = 0;
};

}  // namespace simplon::net::test
