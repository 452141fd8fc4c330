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

// A suspended coroutine. On the heap until it is called, because Asio's handlers move; the loop's,
// should it end first.
template <class Handler, class... Arguments>
class Suspended : public Operation {
 protected:
  Suspended(Handler handler, Loop& loop)
      : Operation(loop), handler_(std::move(handler)), loop_(loop) {
    auto slot = asio::get_associated_cancellation_slot(handler_);
    if (slot.is_connected()) {
      slot.assign([this](asio::cancellation_type) {
        if (!finishing_) {
          stop_waiting();
          cancelled();
        }
      });
    }
  }
  virtual ~Suspended() = default;

  void complete(Arguments... arguments) {
    auto slot = asio::get_associated_cancellation_slot(handler_);
    if (slot.is_connected()) {
      slot.clear();
    }
    Handler handler = std::move(handler_);
    delete this;
    std::move(handler)(arguments...);
  }

  // For callers that are in the middle of something.
  void complete_later(Arguments... arguments) {
    if (!std::exchange(finishing_, true)) {
      loop_.post([this, arguments...] { complete(arguments...); });
    }
  }

 private:
  void abandon() override {
    stop_waiting();
    delete this;
  }
  /// Nothing completes the operation any more.
  virtual void stop_waiting() = 0;
  /// Calls complete_later().
  virtual void cancelled() = 0;

  Handler handler_;
  Loop& loop_;
  bool finishing_ = false;
};

template <class Handler>
class WaitOp final : public Suspended<Handler, std::error_code>, public Waiter {
 public:
  WaitOp(Handler handler, Stream& stream, Event event)
      : Suspended<Handler, std::error_code>(std::move(handler), stream.loop()),
        stream_(stream.shared_from_this()),
        event_(event) {
    stream.wait(event, *this);
  }

 private:
  void ready(Event, std::error_code error) override {
    const StreamPtr keep = stream_;  // which calls this
    this->complete(error);
  }
  void stop_waiting() override { stream_->cancel_wait(event_); }
  void cancelled() override { this->complete_later(make_error_code(Errc::cancelled)); }

  StreamPtr stream_;
  Event event_;
};

template <class Handler>
class SleepOp final : public Suspended<Handler> {
 public:
  SleepOp(Handler handler, Loop& loop, TimePoint when)
      : Suspended<Handler>(std::move(handler), loop), timer_(loop) {
    timer_.arm(when, [this] { this->complete(); });
  }

 private:
  void stop_waiting() override { timer_.cancel(); }
  void cancelled() override { this->complete_later(); }

  Timer timer_;
};

}  // namespace

awaitable<std::error_code> wait(Stream& stream, Event event) {
  co_await asio::this_coro::throw_if_cancelled(false);
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(std::error_code)>(
      [&stream, event](auto handler) {
        // A completion with a plain value: the wait's outcome is not an exception.
        new WaitOp<decltype(handler)>(std::move(handler), stream, event);
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
        new SleepOp<decltype(handler)>(std::move(handler), loop, when);
      },
      asio::use_awaitable);
}

class Gate::Wait {
 public:
  virtual ~Wait() = default;
  virtual void opened() = 0;
};

Gate::~Gate() { delete waiting_; }

void Gate::open() {
  if (!std::exchange(open_, true) && waiting_ != nullptr) {
    waiting_->opened();
  }
}

template <class Handler>
class Gate::WaitOp final : public Suspended<Handler, bool>, public Wait {
 public:
  WaitOp(Handler handler, Gate& gate, TimePoint deadline)
      : Suspended<Handler, bool>(std::move(handler), gate.loop_), gate_(&gate), timer_(gate.loop_) {
    gate.waiting_ = this;
    if (deadline != TimePoint::max()) {
      timer_.arm(deadline, [this] {
        stop_waiting();
        this->complete(false);
      });
    }
  }

 private:
  void opened() override {
    stop_waiting();
    this->complete_later(true);
  }
  void stop_waiting() override {
    timer_.cancel();
    if (gate_ != nullptr) {
      std::exchange(gate_, nullptr)->waiting_ = nullptr;
    }
  }
  void cancelled() override { this->complete_later(false); }

  Gate* gate_;
  Timer timer_;
};

awaitable<bool> Gate::wait_until(TimePoint deadline) {
  co_await asio::this_coro::throw_if_cancelled(false);
  if (open_) {
    co_return true;
  }
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(bool)>(
      [this, deadline](auto handler) {
        new WaitOp<decltype(handler)>(std::move(handler), *this, deadline);
      },
      asio::use_awaitable);
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
