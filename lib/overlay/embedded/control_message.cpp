#include "overlay/embedded/control_message.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace simplon::overlay {
namespace {

using base::Errc;
using base::Result;

constexpr std::size_t kPrefix = 4;
// The body's room grows with what arrives, so that a claimed length alone costs no memory.
constexpr std::size_t kStep = 4096;

// As many bytes as came before the end of the stream.
net::awaitable<Result<std::size_t>> read_up_to(net::Stream& stream, std::span<std::byte> into) {
  std::size_t have = 0;
  while (have < into.size()) {
    const auto got = co_await net::read_some(stream, into.subspan(have));
    if (!got) {
      co_return std::unexpected(got.error());
    }
    if (*got == 0) {
      break;
    }
    have += *got;
  }
  co_return have;
}

}  // namespace

Result<std::string> encode_message(const google::protobuf::MessageLite& message,
                                   std::size_t limit) {
  const std::size_t size = message.ByteSizeLong();
  if (size > limit) {
    return base::fail(Errc::limit_exceeded);
  }
  std::string out;
  out.reserve(kPrefix + size);
  for (const int shift : {24, 16, 8, 0}) {
    out.push_back(static_cast<char>((size >> shift) & 0xff));
  }
  if (!message.AppendPartialToString(&out)) {
    return base::fail(Errc::internal);
  }
  return out;
}

net::awaitable<Result<bool>> read_message(net::StreamPtr stream,
                                          google::protobuf::MessageLite* into, std::size_t limit) {
  std::array<std::byte, kPrefix> prefix{};
  const auto begun = co_await read_up_to(*stream, prefix);
  if (!begun) {
    co_return std::unexpected(begun.error());
  }
  if (*begun == 0) {
    co_return false;
  }
  if (*begun < kPrefix) {
    co_return base::fail(Errc::truncated);
  }
  std::size_t size = 0;
  for (const std::byte part : prefix) {
    size = (size << 8U) | std::to_integer<std::size_t>(part);
  }
  if (size == 0) {
    co_return base::fail(Errc::protocol_error);
  }
  if (size > limit) {
    co_return base::fail(Errc::limit_exceeded);
  }
  std::string body;
  while (body.size() < size) {
    const std::size_t have = body.size();
    body.resize(std::min(size, have + kStep));
    const auto room = std::as_writable_bytes(std::span(body)).subspan(have);
    const auto got = co_await read_up_to(*stream, room);
    if (!got) {
      co_return std::unexpected(got.error());
    }
    if (*got < room.size()) {
      co_return base::fail(Errc::truncated);
    }
  }
  if (!into->ParseFromString(body)) {
    co_return base::fail(Errc::protocol_error);
  }
  co_return true;
}

ControlWriter::~ControlWriter() {
  if (waiting_) {
    stream_->cancel_wait(net::Event::writable);
  }
}

Result<void> ControlWriter::write(const google::protobuf::MessageLite& message) {
  if (failed_) {
    return std::unexpected(failed_);
  }
  const auto bytes = encode_message(message);
  if (!bytes) {
    return std::unexpected(bytes.error());
  }
  if (backlog() + bytes->size() > kMaxControlBacklog) {
    failed_ = Errc::limit_exceeded;
    stream_->reset(failed_);
    return std::unexpected(failed_);
  }
  backlog_ += *bytes;
  if (!waiting_) {
    push();
  }
  if (failed_) {
    return std::unexpected(failed_);
  }
  return {};
}

void ControlWriter::ready(net::Event, std::error_code error) {
  waiting_ = false;
  if (error) {
    failed_ = error;
  } else {
    push();
  }
}

void ControlWriter::push() {
  while (backlog() > 0) {
    const auto rest = net::as_buffer(std::string_view(backlog_).substr(sent_));
    const auto put = stream_->try_write(rest);
    if (put) {
      sent_ += *put;
    } else if (put.error() == Errc::would_block) {
      backlog_.erase(0, sent_);
      sent_ = 0;
      waiting_ = true;
      stream_->wait(net::Event::writable, *this);
      return;
    } else {
      failed_ = put.error();
      break;
    }
  }
  backlog_.clear();
  sent_ = 0;
}

}  // namespace simplon::overlay
