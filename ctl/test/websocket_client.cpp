#include "ctl/test/websocket_client.hpp"

#include <array>
#include <cstdio>
#include <tuple>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/websocket/error.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "base/version.hpp"
#include "ctl/test/beast_stream.hpp"

namespace simplon::ctl {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
// Without permessage-deflate: a test of the path wants the bytes as they are.
using Websocket = websocket::stream<BeastStream, false>;

constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::seconds kCloseLimit{1};

void arm(Websocket& socket, net::TimePoint when) {
  auto& stream = socket.next_layer().stream();
  stream.set_deadline(net::Direction::receive, when);
  stream.set_deadline(net::Direction::send, when);
}

std::string milliseconds(net::Duration time) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f ms",
                std::chrono::duration<double, std::milli>(time).count());
  return text.data();
}

std::unexpected<Trouble> lost(const Steps& steps, const Websocket& socket,
                              boost::system::error_code error, std::chrono::milliseconds limit) {
  if (error == websocket::error::closed) {
    const auto& reason = socket.reason();
    return steps.failed("the server closed the websocket with code " + std::to_string(reason.code) +
                        (reason.reason.empty() ? "" : " " + shown(reason.reason.c_str())));
  }
  if (error == asio::error::eof) {
    return steps.failed("the other side ended the connection");
  }
  return steps.failed(std::error_code(error), limit);
}

// The server answered, but not with a websocket.
std::unexpected<Trouble> declined(const Steps& steps, const websocket::response_type& response) {
  std::string why = "the server answered " + std::to_string(response.result_int());
  if (!response.reason().empty()) {
    why += " " + shown(std::string_view(response.reason().data(), response.reason().size()));
  }
  if (const auto at = response.find("Simplon-Error"); at != response.end()) {
    const auto value = at->value();
    return steps.failed(
        why + ", Simplon-Error: " + shown(std::string_view(value.data(), value.size())),
        "that is Simplon's own answer: the hop named there could not go on");
  }
  return steps.failed(why + " instead of opening a websocket",
                      "is a websocket at this path? the test endpoint has one at /echo");
}

}  // namespace

net::awaitable<Answer<std::string>> test_echo(net::StreamPtr stream, EchoOptions options,
                                              std::shared_ptr<Steps> steps,
                                              net::TimePoint deadline) {
  net::Loop& loop = stream->loop();
  Websocket socket(std::move(stream));
  socket.read_message_max(kMaxMessage);
  socket.set_option(websocket::stream_base::decorator([](websocket::request_type& request) {
    request.set(beast::http::field::user_agent, "simplonctl/" + base::version());
  }));

  steps->enter("handshake");
  arm(socket, deadline);
  websocket::response_type response;
  const auto [refused] =
      co_await socket.async_handshake(response, options.authority, options.path, kAsTuple);
  if (refused == websocket::error::upgrade_declined) {
    co_return declined(*steps, response);
  }
  if (refused) {
    co_return lost(*steps, socket, refused, options.timeout);
  }
  steps->say("websocket at " + options.path);

  steps->enter("echo");
  socket.text(true);
  std::string received;
  for (unsigned sent = 1;; ++sent) {
    const auto start = loop.now();
    const auto [not_sent, size] =
        co_await socket.async_write(asio::buffer(options.message), kAsTuple);
    if (not_sent) {
      co_return lost(*steps, socket, not_sent, options.timeout);
    }
    beast::flat_buffer buffer;
    const auto [not_read, length] = co_await socket.async_read(buffer, kAsTuple);
    if (not_read) {
      co_return lost(*steps, socket, not_read, options.timeout);
    }
    received = beast::buffers_to_string(buffer.data());
    const std::string trip = "round trip " + milliseconds(loop.now() - start);
    steps->say(options.count == 1 ? trip : "#" + std::to_string(sent) + " " + trip);
    if (received != options.message) {
      co_return steps->failed("sent " + shown(options.message) + ", but received " +
                              shown(received));
    }
    if (sent == options.count) {
      break;
    }
    co_await net::sleep_until(loop, start + options.interval);
    arm(socket, loop.now() + options.timeout);
  }
  arm(socket, loop.now() + kCloseLimit);
  // All was well already; a server that does not close properly does not change that.
  (void)co_await socket.async_close(websocket::close_code::normal, kAsTuple);
  co_return received;
}

}  // namespace simplon::ctl
