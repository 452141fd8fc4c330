#include "net/tls_connection.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace simplon::net {
namespace {

// RFC 8446 §5.1: the most a record carries.
constexpr std::size_t kRecord = 16 * 1024;
// Four full records and their overhead leave in one write of the transport.
constexpr std::size_t kBatch = 64 * 1024;
// Written bytes never stage more than a batch; beyond that are answers to a peer that asks for new
// keys (KeyUpdate) again and again and does not read them.
constexpr std::size_t kMostAnswers = kBatch + 64 * 1024;
// Buffers full of records without a byte for the user that one read looks at: a peer that sends
// nothing else must not keep the loop from its other streams.
constexpr int kMostEmptyBuffers = 4;

}  // namespace

void TlsBatch::append(Buffer bytes) {
  if (rest_.empty()) {
    if (!buffer_) {
      buffer_ = PooledBuffer::take();
    }
    if (bytes.size() > kPooledBufferSize - end_ && begin_ > 0) {
      std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
      end_ -= std::exchange(begin_, 0);
    }
    const std::size_t count = std::min(bytes.size(), kPooledBufferSize - end_);
    std::memcpy(buffer_.data() + end_, bytes.data(), count);
    end_ += count;
    bytes = bytes.subspan(count);
  }
  rest_.insert(rest_.end(), bytes.begin(), bytes.end());
}

std::array<Buffer, 2> TlsBatch::pieces() const {
  return {Buffer(buffer_.data() + begin_, end_ - begin_), Buffer(rest_)};
}

void TlsBatch::consume(std::size_t count) {
  const std::size_t first = std::min(count, end_ - begin_);
  begin_ += first;
  rest_.erase(rest_.begin(), rest_.begin() + static_cast<std::ptrdiff_t>(count - first));
  if (size() == 0) {
    clear();
  } else if (begin_ == end_) {
    begin_ = end_ = 0;
    const auto left = std::exchange(rest_, {});
    append(left);
  }
}

void TlsBatch::clear() {
  buffer_.release();
  begin_ = end_ = 0;
  rest_ = {};
}

struct TlsConnection::Bio {
  static TlsConnection& self(BIO* bio) { return *static_cast<TlsConnection*>(BIO_get_data(bio)); }

  static int read(BIO* bio, char* into, std::size_t size, std::size_t* got) {
    TlsConnection& tls = self(bio);
    BIO_clear_retry_flags(bio);
    if (tls.transport_ended_ || tls.released_ || size == 0) {
      return 0;
    }
    const auto count = tls.transport_->try_read(std::as_writable_bytes(std::span(into, size)));
    if (count && *count > 0) {
      *got = *count;
      return 1;
    }
    if (count) {
      tls.transport_ended_ = true;
      return 0;
    }
    if (count.error() == Errc::would_block) {
      tls.blocked_ = true;
      BIO_set_retry_read(bio);
    } else {
      tls.transport_error_ = count.error();
    }
    return -1;
  }

  static int write(BIO* bio, const char* from, std::size_t size, std::size_t* put) {
    BIO_clear_retry_flags(bio);
    self(bio).out_.append(std::as_bytes(std::span(from, size)));
    *put = size;
    return 1;
  }

  static long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

  static const BIO_METHOD* method() {
    static BIO_METHOD* const shared = [] {
      BIO_METHOD* const out =
          BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "simplon stream");
      BIO_meth_set_read_ex(out, read);
      BIO_meth_set_write_ex(out, write);
      BIO_meth_set_ctrl(out, control);
      return out;
    }();
    return shared;
  }
};

TlsConnection::TlsConnection(StreamPtr transport, std::shared_ptr<const TlsContext> context)
    : TlsStream(transport->loop()),
      context_(std::move(context)),
      transport_(std::move(transport)),
      ssl_(SSL_new(context_->state().context.get())),
      linger_(loop()) {
  transport_->clear_deadline(Direction::receive);
  transport_->clear_deadline(Direction::send);
  BIO* const bio = BIO_new(Bio::method());
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
}

TlsConnection::~TlsConnection() {
  if (!released_) {
    release_transport();
    transport_->reset();
  }
}

Result<void> TlsConnection::handshake_step(std::string* why) {
  for (;;) {
    blocked_ = false;
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_.get());
    const int error = SSL_get_error(ssl_.get(), result);
    if (result == 1 || (error == SSL_ERROR_WANT_READ && !blocked_)) {
      if (result == 1) {
        established_ = true;
        peer_ = describe_peer(*ssl_);
        flush();
        return {};
      }
      continue;
    }
    if (error == SSL_ERROR_WANT_READ) {
      flush();
      return base::fail(Errc::would_block);
    }
    broken_ = true;
    input_failure_ = transport_error_   ? transport_error_
                     : transport_ended_ ? make_error_code(Errc::truncated)
                                        : take_tls_error(Errc::handshake_failed, why, ssl_.get());
    ERR_clear_error();
    flush();  // the alert
    return std::unexpected(input_failure_);
  }
}

TlsConnection::Step TlsConnection::after_failed_read(int result) {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      // Without a wish for more bytes it was a record that carries none for the user.
      return blocked_ ? Step::blocked : Step::go_on;
    case SSL_ERROR_ZERO_RETURN:
      input_ended_ = true;
      return Step::go_on;
    default:
      broken_ = true;
      input_failure_ = transport_error_ ? transport_error_
                       : transport_ended_
                           ? make_error_code(Errc::truncated)
                           : take_tls_error(Errc::protocol_error, nullptr, ssl_.get());
      ERR_clear_error();
      return Step::go_on;
  }
}

Result<std::size_t> TlsConnection::try_read(std::span<std::byte> into) {
  if (closed()) {
    return base::fail(Errc::closed);
  }
  std::size_t total = 0;
  int empty_buffers = 0;
  while (!input_ended_ && !input_failure_ && total < into.size()) {
    blocked_ = false;
    ERR_clear_error();
    std::size_t got = 0;
    const int result = SSL_read_ex(ssl_.get(), into.data() + total, into.size() - total, &got);
    if (result == 1) {
      total += got;
      if (SSL_has_pending(ssl_.get()) == 0) {
        break;
      }
    } else if (after_failed_read(result) == Step::blocked) {
      break;
    } else if (++empty_buffers == kMostEmptyBuffers) {
      break;
    } else if (out_.size() > kMostAnswers) {
      flush();
      if (out_.size() > kMostAnswers) {
        broken_ = true;
        input_failure_ = make_error_code(Errc::limit_exceeded);
      }
    }
  }
  flush();
  if (total > 0 || (input_ended_ && !into.empty())) {
    return total;
  }
  return input_failure_ ? Result<std::size_t>(std::unexpected(input_failure_))
                        : base::fail(Errc::would_block);
}

bool TlsConnection::output_full() const { return out_.size() + kRecord > kBatch + 1024; }

Result<std::size_t> TlsConnection::try_write(std::span<const Buffer> from) {
  if (closed() || sending_ended_) {
    return base::fail(Errc::closed);
  }
  if (output_failure_ || broken_) {
    return std::unexpected(output_failure_ ? output_failure_ : input_failure_);
  }
  // Small pieces share records.
  thread_local std::array<std::byte, kRecord> scratch;
  write_wants_read_ = false;
  std::size_t taken = 0;
  std::size_t offset = 0;  // of what is left of from.front()
  while (!from.empty()) {
    if (from.front().size() == offset) {
      from = from.subspan(1);
      offset = 0;
      continue;
    }
    if (output_full()) {
      flush();
      if (output_full() || output_failure_) {
        break;
      }
    }
    Buffer record = from.front().subspan(offset);
    if (record.size() >= kRecord || from.size() == 1) {
      record = record.first(std::min(record.size(), kRecord));
      offset += record.size();
    } else {
      std::size_t filled = 0;
      while (!from.empty() && filled < kRecord) {
        const Buffer piece = from.front().subspan(offset);
        const std::size_t count = std::min(piece.size(), kRecord - filled);
        std::copy_n(piece.begin(), count, scratch.begin() + static_cast<std::ptrdiff_t>(filled));
        filled += count;
        offset += count;
        if (offset == from.front().size()) {
          from = from.subspan(1);
          offset = 0;
        }
      }
      record = std::span(scratch).first(filled);
    }
    if (record.empty()) {
      continue;
    }
    ERR_clear_error();
    std::size_t put = 0;
    if (const int result = SSL_write_ex(ssl_.get(), record.data(), record.size(), &put);
        result != 1) {
      if (SSL_get_error(ssl_.get(), result) == SSL_ERROR_WANT_READ) {
        write_wants_read_ = true;  // half of a KeyUpdate has come
        break;
      }
      broken_ = true;
      output_failed(take_tls_error(Errc::internal, nullptr));
      break;
    }
    taken += put;
  }
  flush();
  if (taken > 0) {
    return taken;
  }
  if (output_failure_) {
    return std::unexpected(output_failure_);
  }
  return from.empty() && !write_wants_read_ ? Result<std::size_t>(0)
                                            : base::fail(Errc::would_block);
}

void TlsConnection::flush() {
  while (out_.size() > 0 && !output_failure_ && !released_) {
    const auto put = transport_->try_write(out_.pieces());
    if (put) {
      out_.consume(*put);
    } else if (put.error() != Errc::would_block) {
      output_failed(put.error());
    } else {
      if (!std::exchange(flushing_, true)) {
        transport_->wait(Event::writable, *this);
      }
      break;
    }
  }
  if (!output_full() && !write_wants_read_ && waiting(Event::writable)) {
    notify_later(Event::writable);
  }
  if (out_.size() == 0 && waiting(Event::flushed) && !released_) {
    transport_->wait(Event::flushed, *this);
  }
}

// Reading goes on: the other side may have said why before it went.
void TlsConnection::output_failed(std::error_code error) {
  output_failure_ = error;
  out_.clear();
  notify_later(Event::writable);
  notify_later(Event::flushed, error);
}

void TlsConnection::stage_close_notify() {
  if (established_ && !broken_ && !output_failure_ &&
      (SSL_get_shutdown(ssl_.get()) & SSL_SENT_SHUTDOWN) == 0) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
  }
}

void TlsConnection::shutdown_send() {
  if (closed() || std::exchange(sending_ended_, true)) {
    return;
  }
  if (SSL_version(ssl_.get()) >= TLS1_3_VERSION) {
    stage_close_notify();
  }
  flush();
  notify_later(Event::writable);
}

void TlsConnection::start_wait(Event event) {
  switch (event) {
    case Event::readable:
      if (input_failure_ || input_ended_ || (!blocked_ && SSL_has_pending(ssl_.get()) == 1)) {
        notify(event);
      } else {
        transport_->wait(Event::readable, *this);
      }
      break;
    case Event::writable:
      if (output_failure_ || broken_ || sending_ended_) {
        notify(event);
      } else if (write_wants_read_) {
        transport_->wait(Event::readable, *this);
      } else if (!output_full()) {
        notify(event);
      }
      break;
    case Event::flushed:
      if (output_failure_) {
        notify(event, output_failure_);
      } else if (out_.size() == 0) {
        transport_->wait(Event::flushed, *this);
      }
      break;
  }
}

void TlsConnection::stop_wait(Event event) {
  // Staged bytes go on leaving, and a write may need the transport's next bytes.
  if (event != Event::writable && !released_ &&
      !(event == Event::readable && write_wants_read_ && waiting(Event::writable))) {
    transport_->cancel_wait(event);
  }
}

void TlsConnection::ready(Event event, std::error_code error) {
  const auto self = shared_from_this();
  if (event == Event::writable) {
    flushing_ = false;
    if (error) {
      output_failed(error);
    }
    flush();
    if (closed() && (out_.size() == 0 || output_failure_)) {
      finish_close();
    }
  } else if (!closed()) {
    if (event == Event::readable) {
      blocked_ = false;
      if (std::exchange(write_wants_read_, false)) {
        notify_later(Event::writable);
      }
    }
    notify(event, event == Event::flushed ? error : std::error_code{});
  }
}

void TlsConnection::start_end_watch() {
  if (!released_) {
    transport_->watch_end(this);
  }
}

void TlsConnection::do_close() {
  stage_close_notify();
  flush();
  if (out_.size() == 0 || output_failure_) {
    finish_close();
    return;
  }
  transport_->cancel_wait(Event::readable);
  transport_->cancel_wait(Event::flushed);
  linger_.arm(
      loop().now() + kCloseTimeout,
      [self = std::static_pointer_cast<TlsConnection>(shared_from_this())] { self->do_reset({}); });
}

void TlsConnection::finish_close() {
  const auto self = shared_from_this();  // the timer's reference goes
  release_transport();
  transport_->close();
}

void TlsConnection::do_reset(std::error_code reason) {
  const auto self = weak_from_this().lock();
  if (!released_) {
    release_transport();
    transport_->reset(reason);
  } else {
    transport_->reset(reason);  // it may still be closing
  }
}

void TlsConnection::release_transport() {
  released_ = true;
  transport_->watch_end(nullptr);
  for (const Event event : {Event::readable, Event::writable, Event::flushed}) {
    transport_->cancel_wait(event);
  }
  out_.clear();
  linger_.cancel();
}

std::string_view TlsConnection::protocol() const {
  const unsigned char* name = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

std::string TlsConnection::server_name() const {
  const char* const name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name);
  return name == nullptr ? "" : name;
}

}  // namespace simplon::net
