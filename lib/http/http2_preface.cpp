#include "http/http2_preface.hpp"

#include <algorithm>
#include <cstdint>

#include "http/error_response.hpp"

namespace simplon::http {
namespace {

using base::Errc;

constexpr std::size_t kMostDebugData = 1024;  // a frame of every peer may hold 16 KiB

constexpr std::size_t kMostAwaited = 64 * 1024;  // of frames before a request

// RFC 9113 §4.1, §6, §7
constexpr std::size_t kFrameHead = 9;
constexpr char kHeaders = 0x1;
constexpr char kSettings = 0x4;
constexpr char kGoaway = 0x7;
constexpr std::uint32_t kNoError = 0x0;
constexpr std::uint32_t kProtocolError = 0x1;
constexpr std::uint32_t kInternalError = 0x2;

void append_number(std::string& out, std::uint32_t value, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    out += static_cast<char>(value >> static_cast<unsigned>(shift) & 0xffU);
  }
}

// A frame of stream 0, without flags.
void append_frame_head(std::string& out, std::size_t length, char type) {
  append_number(out, static_cast<std::uint32_t>(length), 3);
  out += type;
  out += '\0';
  append_number(out, 0, 4);
}

std::uint32_t code_of(const std::error_code& code) {
  return code == Errc::other_version ? kProtocolError
         : code == Errc::draining    ? kNoError
                                     : kInternalError;
}

// Reads frames of the client until one opens a stream, or none more come, or it is enough.
net::awaitable<void> await_request(Inlet& client) {
  std::size_t skip = kHttp2Preface.size();
  for (std::size_t read = 0; read < kMostAwaited;) {
    const std::string_view bytes = client.bytes();
    if (const std::size_t skipped = std::min(skip, bytes.size()); skipped > 0) {
      client.consume(skipped);
      skip -= skipped;
      read += skipped;
    } else if (bytes.size() >= kFrameHead) {
      if (bytes[3] == kHeaders) {
        break;
      }
      const auto byte = [bytes](std::size_t at) { return static_cast<unsigned char>(bytes[at]); };
      skip = kFrameHead + (std::size_t{byte(0)} << 16U | std::size_t{byte(1)} << 8U | byte(2));
    } else if (const auto got = co_await client.fill(); !got || *got == 0) {
      break;
    }
  }
}

}  // namespace

Preface match_preface(std::string_view bytes) noexcept {
  const std::string_view start = bytes.substr(0, kHttp2Preface.size());
  if (!kHttp2Preface.starts_with(start)) {
    return Preface::none;
  }
  return start.size() == kHttp2Preface.size() ? Preface::whole : Preface::partial;
}

std::string goaway(const base::Failure& failure) {
  std::string debug = "Simplon-Error: hop=";
  debug.append(base::to_string(failure.hop)).append("; reason=").append(reason_of(failure.code));
  debug.append("; ").append(failure.message());
  debug.resize(std::min(debug.size(), kMostDebugData));
  std::string out;
  append_frame_head(out, 8 + debug.size(), kGoaway);
  append_number(out, 0, 4);  // the last stream that was processed: none
  append_number(out, code_of(failure.code), 4);
  return out + debug;
}

net::awaitable<void> refuse_http2(Inlet& client, base::Failure failure, net::Duration patience) {
  net::Stream& stream = client.stream();
  const net::TimePoint over = stream.loop().now() + patience;
  stream.set_deadline(net::Direction::receive, over);
  stream.set_deadline(net::Direction::send, over);
  std::string settings;
  append_frame_head(settings, 0, kSettings);
  if (co_await net::write_all(stream, net::as_buffer(settings))) {
    co_await await_request(client);
    const std::string last = goaway(failure);
    stream.set_deadline(net::Direction::send, stream.loop().now() + patience);
    if (co_await net::write_all(stream, net::as_buffer(last))) {
      co_await linger(client, patience);
    }
  }
  stream.close();
}

}  // namespace simplon::http
