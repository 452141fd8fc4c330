#include "ctl/test/websocket_url.hpp"

#include <algorithm>
#include <charconv>

#include "ctl/text.hpp"

namespace simplon::ctl {
namespace {

constexpr std::size_t kMaxPath = 8 * 1024;

bool all_digits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

std::string WebsocketUrl::authority() const {
  const std::string name = host.find(':') != std::string::npos ? "[" + host + "]" : host;
  return port == (tls ? 443 : 80) ? name : name + ":" + std::to_string(port);
}

std::expected<WebsocketUrl, std::string> parse_websocket_url(std::string_view typed) {
  WebsocketUrl out;
  std::string_view rest = typed;
  if (const auto end = typed.find("://"); end != std::string_view::npos) {
    const auto scheme = typed.substr(0, end);
    out.tls = scheme == "wss" || scheme == "https";
    if (!out.tls && scheme != "ws" && scheme != "http") {
      return std::unexpected("\"" + std::string(scheme) +
                             "\" is not a kind of websocket URL; there are ws:// and wss://");
    }
    rest.remove_prefix(end + 3);
  }
  const auto slash = std::min(rest.find_first_of("/?"), rest.size());
  out.path = slash == rest.size() ? kEchoPath : std::string(rest.substr(slash));
  if (out.path.starts_with('?')) {
    out.path.insert(0, kEchoPath);
  }
  if (out.path.size() > kMaxPath || std::ranges::any_of(out.path, [](char c) {
        return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f || c == '#';
      })) {
    return std::unexpected("the path of a websocket URL has no blanks and no #, and at most 8 KiB");
  }
  std::string authority(rest.substr(0, slash));
  if (all_digits(authority) && slash == typed.size()) {
    authority.insert(0, "localhost:");
  } else if (authority.starts_with('[') ? authority.ends_with(']')
                                        : authority.find(':') == std::string::npos) {
    authority += out.tls ? ":443" : ":80";
  }
  auto at = parse_host_port(authority);
  if (!at) {
    return std::unexpected(at.error());
  }
  std::from_chars(at->port.data(), at->port.data() + at->port.size(), out.port);
  if (out.port == 0) {
    return std::unexpected("a port to connect to cannot be 0");
  }
  out.host = std::move(at->host);
  return out;
}

}  // namespace simplon::ctl
