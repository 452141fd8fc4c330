#include "ctl/test/echo.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "ctl/test/beast_stream.hpp"
#include "ctl/test/websocket_client.hpp"

namespace simplon::ctl {
namespace {

namespace beast = boost::beast;
namespace websocket = beast::websocket;

constexpr auto kAsTuple = boost::asio::as_tuple(boost::asio::use_awaitable);

}  // namespace

net::awaitable<void> echo_websocket(net::StreamPtr stream, UpgradeRequest request) {
  beast::http::request<beast::http::empty_body> head(beast::http::verb::get, request.target, 11);
  for (const auto& [name, value] : request.fields) {
    head.insert(name, value);
  }
  websocket::stream<BeastStream, false> socket(std::move(stream), std::move(request.received));
  socket.read_message_max(kMaxMessage);
  if (const auto [error] = co_await socket.async_accept(head, kAsTuple); error) {
    co_return;
  }
  beast::flat_buffer message;
  for (;;) {
    const auto [not_read, read] = co_await socket.async_read(message, kAsTuple);
    if (not_read) {
      co_return;
    }
    socket.text(socket.got_text());
    const auto [not_sent, sent] = co_await socket.async_write(message.data(), kAsTuple);
    if (not_sent) {
      co_return;
    }
    message.consume(message.size());
  }
}

}  // namespace simplon::ctl
