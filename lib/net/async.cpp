#include "net/async.hpp"

#include <memory>
#include <string>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.hpp"

namespace simplon::net {
namespace {

namespace asio = boost::asio;

// Lives on the heap until it is called, because Asio's handlers move.
template <class Handler>
class WaitOp final : public Waiter {
 public:
  static void start(Handler handler, Stream& stream, Event event) {
    auto* op = new WaitOp(std::move(handler), stream, event);
    const auto slot = asio::get_associated_cancellation_slot(op->handler_);
    if (slot.is_connected()) {
      asio::cancellation_slot(slot).assign([op](asio::cancellation_type) {
        op->stream_->cancel_wait(op->event_);
        // Later: the canceller may be in the middle of something.
        op->stream_->loop().post([op] { op->complete(make_error_code(Errc::cancelled)); });
      });
    }
    op->stream_->wait(event, *op);
  }

  void ready(Event, std::error_code error) override { complete(error); }

 private:
  WaitOp(Handler handler, Stream& stream, Event event)
      : handler_(std::move(handler)), stream_(stream.shared_from_this()), event_(event) {}

  void complete(std::error_code error) {
    const std::unique_ptr<WaitOp> self(this);
    const auto slot = asio::get_associated_cancellation_slot(handler_);
    if (slot.is_connected()) {
      asio::cancellation_slot(slot).clear();
    }
    Handler handler = std::move(handler_);
    const StreamPtr keep = std::move(stream_);
    std::move(handler)(error);
  }

  Handler handler_;
  StreamPtr stream_;
  Event event_;
};

template <class Handler>
class SleepOp {
 public:
  static void start(Handler handler, Loop& loop, TimePoint when) {
    auto* op = new SleepOp(std::move(handler), loop);
    const auto slot = asio::get_associated_cancellation_slot(op->handler_);
    if (slot.is_connected()) {
      asio::cancellation_slot(slot).assign([op, &loop](asio::cancellation_type) {
        op->timer_.cancel();
        loop.post([op] { op->complete(); });
      });
    }
    op->timer_.arm(when, [op] { op->complete(); });
  }

 private:
  SleepOp(Handler handler, Loop& loop) : handler_(std::move(handler)), timer_(loop) {}

  void complete() {
    const std::unique_ptr<SleepOp> self(this);
    const auto slot = asio::get_associated_cancellation_slot(handler_);
    if (slot.is_connected()) {
      asio::cancellation_slot(slot).clear();
    }
    Handler handler = std::move(handler_);
    std::move(handler)();
  }

  Handler handler_;
  Timer timer_;
};

}  // namespace

awaitable<std::error_code> wait(Stream& stream, Event event) {
  co_await asio::this_coro::throw_if_cancelled(false);
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(std::error_code)>(
      [&stream, event](auto handler) {
        // A completion with a plain value: the wait's outcome is not an exception.
        auto complete = std::move(handler);
        WaitOp<decltype(complete)>::start(std::move(complete), stream, event);
      },
      asio::use_awaitable);
}

awaitable<Result<std::size_t>> read_some(Stream& stream, std::span<std::byte> into) {
  for (;;) {
    const auto got = stream.try_read(into);
    if (got || got.error() != Errc::would_block) {
      co_return got;
    }
    if (const auto error = co_await wait(stream, Event::readable)) {
      co_return std::unexpected(error);
    }
  }
}

awaitable<Result<void>> read_exactly(Stream& stream, std::span<std::byte> into) {
  while (!into.empty()) {
    const auto got = co_await read_some(stream, into);
    if (!got) {
      co_return std::unexpected(got.error());
    }
    if (*got == 0) {
      co_return base::fail(Errc::truncated);
    }
    into = into.subspan(*got);
  }
  co_return Result<void>{};
}

awaitable<Result<void>> write_all(Stream& stream, Buffer from) {
  while (!from.empty()) {
    const auto put = stream.try_write(from);
    if (put) {
      from = from.subspan(*put);
      continue;
    }
    if (put.error() != Errc::would_block) {
      co_return std::unexpected(put.error());
    }
    if (const auto error = co_await wait(stream, Event::writable)) {
      co_return std::unexpected(error);
    }
  }
  co_return Result<void>{};
}

awaitable<Result<void>> flush(Stream& stream) {
  if (const auto error = co_await wait(stream, Event::flushed)) {
    co_return std::unexpected(error);
  }
  co_return Result<void>{};
}

awaitable<void> sleep_until(Loop& loop, TimePoint when) {
  co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(
      [&loop, when](auto handler) {
        auto complete = std::move(handler);
        SleepOp<decltype(complete)>::start(std::move(complete), loop, when);
      },
      asio::use_awaitable);
}

void Gate::open() {
  if (!std::exchange(open_, true) && waiting_) {
    loop_.post([wake = std::move(waiting_)]() mutable { wake(); });
    waiting_ = nullptr;
    timer_.cancel();
  }
}

void Gate::wake() {
  timer_.cancel();
  if (auto wake = std::exchange(waiting_, nullptr)) {
    wake();
  }
}

awaitable<bool> Gate::wait_until(TimePoint deadline) {
  co_await asio::this_coro::throw_if_cancelled(false);
  if (open_) {
    co_return true;
  }
  co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(
      [this, deadline](auto handler) {
        const auto slot = asio::get_associated_cancellation_slot(handler);
        if (slot.is_connected()) {
          asio::cancellation_slot(slot).assign([this](asio::cancellation_type) {
            if (waiting_) {
              timer_.cancel();
              loop_.post([wake = std::move(waiting_)]() mutable { wake(); });
              waiting_ = nullptr;
            }
          });
        }
        waiting_ = [slot, handler = std::move(handler)]() mutable {
          if (slot.is_connected()) {
            asio::cancellation_slot(slot).clear();
          }
          std::move(handler)();
        };
        if (deadline != TimePoint::max()) {
          timer_.arm(deadline, [this] { wake(); });
        }
      },
      asio::use_awaitable);
  co_return open_;
}

void spawn(Loop& loop, std::string_view name, awaitable<void> body) {
  asio::co_spawn(loop.context(), std::move(body),
                 [name = std::string(name)](const std::exception_ptr& thrown) {
                   if (!thrown) {
                     return;
                   }
                   try {
                     std::rethrow_exception(thrown);
                   } catch (const std::exception& error) {
                     base::log().error("{} ended by an exception: {}", name, error.what());
                   } catch (...) {
                     base::log().error("{} ended by an unknown exception", name);
                   }
                 });
}

}  // namespace simplon::net
