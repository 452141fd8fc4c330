// The handshake: a coroutine over the connection; then the stream is the user's.
#include <utility>

#include <openssl/x509v3.h>

#include "net/endpoint.hpp"
#include "net/tls_connection.hpp"

namespace simplon::net {
namespace {

bool expect_server(SSL& ssl, const std::string& name) {
  if (name.empty()) {
    return true;
  }
  X509_VERIFY_PARAM* const rules = SSL_get0_param(&ssl);
  if (SocketAddress::from_ip(name, 0)) {
    return X509_VERIFY_PARAM_set1_ip_asc(rules, name.c_str()) == 1;
  }
  X509_VERIFY_PARAM_set_hostflags(
      rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  return X509_VERIFY_PARAM_set1_host(rules, name.data(), name.size()) == 1 &&
         SSL_set_tlsext_host_name(&ssl, name.c_str()) == 1;
}

awaitable<Result<TlsStreamPtr>> shake_hands(std::shared_ptr<TlsConnection> connection,
                                            bool protocol_required, TimePoint deadline,
                                            std::string* why) {
  connection->set_deadline(Direction::receive, deadline);
  Result<void> step;
  for (;;) {
    step = connection->handshake_step(why);
    if (step || step.error() != Errc::would_block) {
      break;
    }
    if (const auto error = co_await wait(*connection, Event::readable)) {
      connection->reset();
      co_return std::unexpected(error);
    }
  }
  connection->clear_deadline(Direction::receive);
  if (step && protocol_required && connection->protocol().empty()) {
    step = base::fail(Errc::handshake_failed);
    if (why != nullptr) {
      *why = "the other side speaks none of our protocols";
    }
  }
  if (!step) {
    // An alert that says why is on its way: reset() would cut it off.
    connection->close();
    co_return std::unexpected(step.error());
  }
  co_return TlsStreamPtr(std::move(connection));
}

}  // namespace

awaitable<Result<TlsStreamPtr>> tls_connect(StreamPtr transport,
                                            std::shared_ptr<const TlsContext> context,
                                            std::string server_name, TimePoint deadline,
                                            std::string* why) {
  auto connection = std::make_shared<TlsConnection>(std::move(transport), context);
  const auto& alpn = context->state().alpn;
  SSL_set_connect_state(&connection->ssl());
  if (!expect_server(connection->ssl(), server_name) ||
      (!alpn.empty() && SSL_set_alpn_protos(&connection->ssl(), alpn.data(),
                                            static_cast<unsigned int>(alpn.size())) != 0)) {
    const auto error = take_tls_error(Errc::invalid_argument, why);
    connection->reset();
    co_return std::unexpected(error);
  }
  const bool required = context->state().options.protocol_required;
  co_return co_await shake_hands(std::move(connection), required, deadline, why);
}

awaitable<Result<std::string>> fetch_leaf(StreamPtr transport, std::string server_name,
                                          std::vector<TlsProtocol> protocols, TimePoint deadline,
                                          std::string* why) {
  auto context =
      TlsContext::make({.role = TlsRole::client, .protocols = std::move(protocols)}, why);
  if (!context) {
    transport->reset();
    co_return std::unexpected(context.error());
  }
  auto connection = std::make_shared<TlsConnection>(std::move(transport), *context);
  SSL& ssl = connection->ssl();
  SSL_set_connect_state(&ssl);
  SSL_set_verify(&ssl, SSL_VERIFY_NONE, nullptr);
  const auto& alpn = (*context)->state().alpn;
  const bool name = !server_name.empty() && !SocketAddress::from_ip(server_name, 0);
  if ((name && SSL_set_tlsext_host_name(&ssl, server_name.c_str()) != 1) ||
      (!alpn.empty() &&
       SSL_set_alpn_protos(&ssl, alpn.data(), static_cast<unsigned int>(alpn.size())) != 0)) {
    const auto error = take_tls_error(Errc::invalid_argument, why);
    connection->reset();
    co_return std::unexpected(error);
  }
  auto stream =
      co_await shake_hands(std::move(connection), /*protocol_required=*/false, deadline, why);
  if (!stream) {
    co_return std::unexpected(stream.error());
  }
  const Peer* const peer = (*stream)->peer();
  Result<std::string> leaf = base::fail(Errc::bad_certificate);
  if (peer != nullptr && !peer->certificate.empty()) {
    leaf = peer->certificate;
  }
  (*stream)->reset();
  co_return leaf;
}

awaitable<Result<TlsStreamPtr>> tls_accept(StreamPtr transport,
                                           std::shared_ptr<const TlsContext> context,
                                           TimePoint deadline, std::string* why) {
  auto connection = std::make_shared<TlsConnection>(std::move(transport), context);
  SSL_set_accept_state(&connection->ssl());
  const bool required = context->state().options.protocol_required;
  co_return co_await shake_hands(std::move(connection), required, deadline, why);
}

}  // namespace simplon::net
