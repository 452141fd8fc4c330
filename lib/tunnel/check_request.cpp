#include "tunnel/check_request.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/version.hpp"
#include "http/head.hpp"

namespace simplon::tunnel {
namespace {

using base::Errc;
using overlay::CheckStep;
using State = CheckStep::State;

constexpr std::size_t kMaxHead = 64 * 1024;
// What is sent over a websocket, and the keys of a client that has nothing to hide (RFC 6455 §4.1,
// §5.3): they guard against proxies that take frames for requests.
constexpr std::string_view kMessage = "simplon doctor";
constexpr std::string_view kKey = "c2ltcGxvbi1kb2N0b3ItIQ==";
constexpr std::array<char, 4> kMask{0x37, 0x11, 0x5a, 0x2c};
constexpr char kText = '\x81';   // FIN, text
constexpr char kClose = '\x88';  // FIN, close
constexpr char kMasked = '\x80';

struct Answer {
  http::ResponseHead head;
  std::string rest;  ///< bytes behind it
};

// The first head that is no interim response.
net::awaitable<base::Result<Answer>> read_head(net::StreamPtr stream) {
  http::Limits limits;
  limits.head_bytes = kMaxHead;
  http::ResponseParser parser(limits);
  Answer out;
  std::array<std::byte, 4096> piece;
  for (;;) {
    const auto parsed = parser.parse(out.rest, out.head);
    if (!parsed) {
      co_return base::fail(Errc::bad_response);
    }
    out.rest.erase(0, parsed->consumed);
    if (parsed->done && (out.head.status >= 200 || out.head.status == 101)) {
      co_return out;
    }
    if (parsed->done) {
      out.head.clear();
      parser.reset();
      continue;
    }
    if (out.rest.size() > kMaxHead) {
      co_return base::fail(Errc::limit_exceeded);
    }
    const auto got = co_await net::read_some(*stream, piece);
    if (!got) {
      co_return std::unexpected(got.error());
    }
    if (*got == 0) {
      co_return base::fail(Errc::truncated);
    }
    out.rest.append(reinterpret_cast<const char*>(piece.data()), *got);
  }
}

std::string printable(std::string_view text) {
  std::string out(text.substr(0, 200));
  std::ranges::replace_if(out, [](unsigned char c) { return c < 0x20 || c > 0x7e; }, '?');
  return out;
}

// "hop=target; reason=target_refused": at which hop.
std::string_view hop_of(std::string_view error) {
  constexpr std::string_view kName = "hop=";
  const auto at = error.find(kName);
  return at == std::string_view::npos
             ? std::string_view()
             : error.substr(at + kName.size(), error.find(';', at) - at - kName.size());
}

std::string advice_of(std::string_view hop) {
  if (hop == "target") {
    return "the share's agent does not reach its target, or has trouble with it: on its host, "
           "simplonctl doctor SHARE";
  }
  if (hop == "share") {
    return "the share's agent refuses: see its log, and there simplonctl doctor SHARE";
  }
  if (hop == "overlay" || hop == "hub") {
    return "see the overlay: simplonctl doctor OVERLAY here, and on the share's host";
  }
  return "see this agent's log at level debug: simplonctl log-level debug";
}

CheckStep begun(const CheckRequest& request) {
  return {.hop = request.hop,
          .latency = {},
          .message = {},
          .advice = {},
          .connection_id = request.connection_id};
}

CheckStep silent(CheckStep step, std::error_code error) {
  step.state = State::failed;
  step.message = "no HTTP answer: " + error.message();
  step.advice = error == Errc::bad_response
                    ? "what listens there speaks no HTTP/1.1: share raw bytes with tcp://, HTTP/2 "
                      "with h2c://"
                    : "the connection was taken and not answered: see the target's own log";
  return step;
}

// Of an answer: ours or the target's.
CheckStep judge(CheckStep step, const http::ResponseHead& head) {
  step.message = "HTTP " + std::to_string(head.status) +
                 (head.reason.empty() ? "" : " " + printable(head.reason));
  if (const auto error = head.fields.find(http::Name::simplon_error)) {
    step.state = State::failed;
    step.message += " (" + printable(*error) + ")";
    step.advice = advice_of(hop_of(*error));
  }
  return step;
}

std::string request_text(const CheckRequest& request, std::string_view method,
                         std::string_view more) {
  std::string out(method);
  out.append(" ").append(request.path).append(" HTTP/1.1\r\nHost: ").append(request.host);
  out.append("\r\nUser-Agent: simplon-doctor/").append(base::version()).append("\r\n");
  return out.append(more).append("\r\n");
}

// A client's frame: masked, at most 125 bytes.
std::string frame(char kind, std::string_view payload) {
  std::string out{kind, static_cast<char>(kMasked | static_cast<char>(payload.size()))};
  out.append(kMask.data(), kMask.size());
  for (std::size_t at = 0; at < payload.size(); ++at) {
    out += static_cast<char>(payload[at] ^ kMask[at % kMask.size()]);
  }
  return out;
}

// The payload of the first short text frame in `in`, if it is whole; frames before it are dropped.
std::optional<std::string> take_text(std::string& in) {
  while (in.size() >= 2) {
    const auto size = static_cast<std::size_t>(static_cast<unsigned char>(in[1]));
    if (size > 125) {
      return std::string();  // masked, or longer than what was sent: no echo
    }
    if (in.size() < 2 + size) {
      return std::nullopt;
    }
    const char kind = in[0];
    std::string payload = in.substr(2, size);
    in.erase(0, 2 + size);
    if (kind == kText) {
      return payload;
    }
    if (kind == kClose) {
      return std::string();
    }
  }
  return std::nullopt;
}

net::awaitable<base::Result<std::string>> read_text(net::StreamPtr stream, std::string in) {
  std::array<std::byte, 512> piece;
  for (;;) {
    if (auto text = take_text(in)) {
      co_return *std::move(text);
    }
    const auto got = co_await net::read_some(*stream, piece);
    if (!got) {
      co_return std::unexpected(got.error());
    }
    if (*got == 0) {
      co_return base::fail(Errc::truncated);
    }
    in.append(reinterpret_cast<const char*>(piece.data()), *got);
  }
}

// Until the answer's head, in order.
net::awaitable<base::Result<Answer>> exchange(net::StreamPtr stream, std::string text,
                                              net::TimePoint deadline) {
  stream->set_deadline(net::Direction::receive, deadline);
  stream->set_deadline(net::Direction::send, deadline);
  // An answer may come before all was read, and then the rest cannot be sent.
  [[maybe_unused]] const auto sent = co_await net::write_all(*stream, net::as_buffer(text));
  co_return co_await read_head(std::move(stream));
}

}  // namespace

net::awaitable<CheckStep> ask_head(net::StreamPtr stream, CheckRequest request,
                                   net::TimePoint deadline) {
  net::Loop& loop = stream->loop();
  const net::TimePoint start = loop.now();
  CheckStep step = begun(request);
  const auto answer =
      co_await exchange(stream, request_text(request, "HEAD", "Connection: close\r\n"), deadline);
  step.latency = loop.now() - start;
  stream->close();
  co_return answer ? judge(std::move(step), answer->head) : silent(std::move(step), answer.error());
}

net::awaitable<CheckStep> ask_echo(net::StreamPtr stream, CheckRequest request,
                                   net::TimePoint deadline) {
  net::Loop& loop = stream->loop();
  const net::TimePoint start = loop.now();
  CheckStep step = begun(request);
  std::string upgrade =
      "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
  upgrade.append("Sec-WebSocket-Key: ").append(kKey).append("\r\n");
  auto answer = co_await exchange(stream, request_text(request, "GET", upgrade), deadline);
  if (!answer) {
    stream->close();
    co_return silent(std::move(step), answer.error());
  }
  step = judge(std::move(step), answer->head);
  if (answer->head.status != 101) {
    stream->close();
    if (step.state != State::failed) {
      step.state = State::failed;
      step.message += ": the target takes no websocket at " + request.path;
      step.advice = "say which path does with --path";
    }
    co_return step;
  }
  (void)co_await net::write_all(*stream, net::as_buffer(frame(kText, kMessage)));
  const auto text = co_await read_text(stream, std::move(answer->rest));
  step.latency = loop.now() - start;
  (void)co_await net::write_all(*stream, net::as_buffer(frame(kClose, {})));
  stream->close();
  if (!text) {
    step.state = State::failed;
    step.message = "upgraded; no message came back: " + text.error().message();
    step.advice = "is the target an echo, such as simplonctl test endpoint?";
  } else if (text->find(kMessage) == std::string::npos) {
    step.state = State::warned;
    step.message = "upgraded; another message came back";
    step.advice = "the target is no echo; the way to it works";
  } else {
    step.message = "upgraded, and a message came back";
  }
  co_return step;
}

}  // namespace simplon::tunnel
