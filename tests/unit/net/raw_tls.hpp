// A TLS peer made of nothing but OpenSSL, for what our own side never does: TLS 1.2 only, new keys
// in the middle of a stream, ending the transport without a word.
#pragma once

#include <array>
#include <string>

#include <openssl/ssl.h>

#include "net/stream.hpp"
#include "support/certificates.hpp"

namespace simplon::net::test {

class RawTlsClient {
 public:
  /// `version`: TLS1_2_VERSION or TLS1_3_VERSION.
  RawTlsClient(StreamPtr transport, int version)
      : transport_(std::move(transport)),
        context_(SSL_CTX_new(TLS_client_method())),
        ssl_(SSL_new(context_.get())),
        in_(BIO_new(BIO_s_mem())),
        out_(BIO_new(BIO_s_mem())) {
    SSL_set_min_proto_version(ssl_.get(), version);
    SSL_set_max_proto_version(ssl_.get(), version);
    BIO_set_mem_eof_return(in_, -1);
    SSL_set_bio(ssl_.get(), in_, out_);
    SSL_set_connect_state(ssl_.get());
  }

  SSL* ssl() { return ssl_.get(); }
  bool handshake() {
    const int result = SSL_do_handshake(ssl_.get());
    push();
    return result == 1;
  }
  bool write(std::string_view text) {
    const bool done = SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size())) > 0;
    push();
    return done;
  }
  /// Asks the other side for new keys too, if told so.
  void update_keys(bool both = true) {
    SSL_key_update(ssl_.get(), both ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED);
    SSL_do_handshake(ssl_.get());
    push();
  }
  std::string read() {
    pull();
    std::string out;
    std::array<char, 4096> piece;
    for (int count; (count = SSL_read(ssl_.get(), piece.data(), piece.size())) > 0;) {
      out.append(piece.data(), static_cast<std::size_t>(count));
    }
    push();
    return out;
  }

  /// OpenSSL's bytes to the transport, as many as it takes.
  void push() {
    char* data = nullptr;
    const long size = BIO_get_mem_data(out_, &data);
    pending_.append(data, static_cast<std::size_t>(size));
    static_cast<void>(BIO_reset(out_));
    const auto put = transport_->try_write(as_buffer(pending_));
    pending_.erase(0, put.value_or(0));
  }
  void pull() {
    std::array<std::byte, 4096> piece;
    while (const auto got = transport_->try_read(piece)) {
      if (*got == 0) {
        return;
      }
      BIO_write(in_, piece.data(), static_cast<int>(*got));
    }
  }

  /// Bytes that wait for room in the transport; a test may cut them up.
  std::string pending_;

 private:
  StreamPtr transport_;
  OpensslOwned<SSL_CTX, SSL_CTX_free> context_;
  OpensslOwned<SSL, SSL_free> ssl_;
  BIO* in_;   // ssl_'s
  BIO* out_;  // ssl_'s
};

}  // namespace simplon::net::test
