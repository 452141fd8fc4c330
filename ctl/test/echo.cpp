#include "ctl/test/echo.hpp"

#include <string>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "ctl/test/beast_stream.hpp"
#include "ctl/test/websocket_client.hpp"
#include "http/head.hpp"

namespace simplon::ctl {
namespace {

namespace beast = boost::beast;
namespace websocket = beast::websocket;

constexpr auto kAsTuple = boost::asio::as_tuple(boost::asio::use_awaitable);
constexpr char kAccept[] = "Sec-WebSocket-Accept";

beast::http::request<beast::http::empty_body> beast_head(const http::RequestHead& head) {
  beast::http::request<beast::http::empty_body> out(beast::http::verb::get, head.target, 11);
  for (const auto field : head.fields) {
    out.insert(beast::string_view(field.name.data(), field.name.size()),
               beast::string_view(field.value.data(), field.value.size()));
  }
  return out;
}

// What Beast would have answered is left to the server, which speaks HTTP on this connection: the
// field of its answer that proves the handshake, empty where it refused.
std::string accept_field(const std::string& answer) {
  http::ResponseParser parser{http::Limits{}};
  http::ResponseHead head;
  const auto parsed = parser.parse(answer, head);
  if (!parsed || !parsed->done || head.status != 101) {
    return {};
  }
  return std::string(head.fields.find(kAccept).value_or(std::string_view{}));
}

}  // namespace

net::awaitable<void> echo_websocket(net::Loop& loop, http::Request& request,
                                    http::Responder& responder) {
  websocket::stream<BeastStream, false> socket(loop);
  socket.read_message_max(kMaxMessage);
  const auto head = beast_head(request.head());
  const auto [refused] = co_await socket.async_accept(head, kAsTuple);
  const std::string proof = accept_field(socket.next_layer().take_written());
  if (refused || proof.empty()) {
    (void)co_await responder.respond(400, {}, "not a valid websocket handshake\n");
    co_return;
  }
  http::Fields fields;
  fields.add(kAccept, proof);
  auto stream = co_await responder.upgrade(fields);
  if (!stream) {
    co_return;
  }
  socket.next_layer().attach(std::move(*stream));
  beast::flat_buffer message;
  for (;;) {
    const auto [not_read, read] = co_await socket.async_read(message, kAsTuple);
    if (not_read) {
      break;
    }
    socket.text(socket.got_text());
    const auto [not_sent, sent] = co_await socket.async_write(message.data(), kAsTuple);
    if (not_sent) {
      break;
    }
    message.consume(message.size());
  }
  socket.next_layer().close();
}

}  // namespace simplon::ctl
