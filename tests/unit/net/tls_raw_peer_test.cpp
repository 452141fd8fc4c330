// The TLS stream against a peer that is not ours.
#include <gmock/gmock.h>

#include "net/memory.hpp"
#include "net/tls.hpp"
#include "unit/net/harness.hpp"
#include "unit/net/raw_tls.hpp"

namespace simplon::net::test {
namespace {

using simplon::test::Authority;
using std::chrono::seconds;

class TlsRawPeer : public testing::Test {
 protected:
  void connect(int version, std::size_t capacity = kMemoryCapacity) {
    const Authority authority;
    const auto shown = authority.issue("server");
    const auto context = TlsContext::make({.role = TlsRole::server,
                                           .certificate_chain = shown.chain,
                                           .private_key = shown.private_key})
                             .value();
    auto [raw_end, server_end] = make_memory_pair(loop, capacity);
    transport = raw_end;
    raw = std::make_unique<RawTlsClient>(raw_end, version);
    const auto accepted =
        start(loop, tls_accept(server_end, context, clock.now() + seconds(5), nullptr));
    for (int i = 0; i < 100 && !*accepted; ++i) {
      raw->pull();
      raw->handshake();
      settle(loop);
    }
    ASSERT_TRUE(*accepted);
    server = (*accepted)->value();
  }

  base::ManualClock clock;
  Loop loop{clock};
  StreamPtr transport;
  std::unique_ptr<RawTlsClient> raw;
  TlsStreamPtr server;
};

TEST_F(TlsRawPeer, Tls12KeepsReadingAfterItsSendingEnded) {
  connect(TLS1_2_VERSION);
  EXPECT_EQ(std::string(SSL_get_version(raw->ssl())), "TLSv1.2");
  server->shutdown_send();
  EXPECT_EQ(error_of(server->try_write(as_buffer("x"))), Errc::closed);
  EXPECT_EQ(raw->read(), "");
  EXPECT_EQ(SSL_get_shutdown(raw->ssl()), 0);
  ASSERT_TRUE(raw->write("still here"));
  EXPECT_EQ(run(loop, read_count(server, 10)), "still here");
  server->close();
  settle(loop);
  EXPECT_EQ(raw->read(), "");
  EXPECT_EQ(SSL_get_shutdown(raw->ssl()), SSL_RECEIVED_SHUTDOWN);
}

TEST_F(TlsRawPeer, Tls13SaysThatItsSendingEnded) {
  connect(TLS1_3_VERSION);
  server->shutdown_send();
  EXPECT_EQ(raw->read(), "");
  EXPECT_EQ(SSL_get_shutdown(raw->ssl()), SSL_RECEIVED_SHUTDOWN);
  ASSERT_TRUE(raw->write("still here"));
  SSL_shutdown(raw->ssl());
  raw->push();
  EXPECT_EQ(run(loop, read_to_end(server)), "still here");
}

// The answer must go out although the user only reads.
TEST_F(TlsRawPeer, AReadThatNeedsAWriteIsTheStreamsOwnBusiness) {
  connect(TLS1_3_VERSION);
  for (int i = 0; i < 10; ++i) {
    raw->update_keys();
    ASSERT_TRUE(raw->write("new keys"));
    EXPECT_EQ(run(loop, read_count(server, 8)), "new keys");
    ASSERT_TRUE(server->try_write(as_buffer("mine too")));
    EXPECT_EQ(raw->read(), "mine too");
  }
}

TEST_F(TlsRawPeer, OnlyNewKeysAreNothingToRead) {
  connect(TLS1_3_VERSION);
  Probe reader;
  server->wait(Event::readable, reader);
  raw->update_keys();
  settle(loop);
  EXPECT_EQ(reader.calls, 1);
  std::array<std::byte, 16> into;
  EXPECT_EQ(error_of(server->try_read(into)), Errc::would_block);
  server->wait(Event::readable, reader);
  settle(loop);
  EXPECT_EQ(reader.calls, 1) << "a wait with nothing to read came back";
  server->cancel_wait(Event::readable);
}

TEST_F(TlsRawPeer, ManyRecordsWithoutBytesAreReadOver) {
  connect(TLS1_3_VERSION);
  for (int i = 0; i < 1000; ++i) {
    raw->update_keys(false);
  }
  ASSERT_TRUE(raw->write("at last"));
  EXPECT_EQ(run(loop, read_count(server, 7)), "at last");
}

TEST_F(TlsRawPeer, AWriteDoesNotWaitForTheRestOfARecord) {
  connect(TLS1_3_VERSION);
  SSL_key_update(raw->ssl(), SSL_KEY_UPDATE_REQUESTED);
  SSL_do_handshake(raw->ssl());
  char* data = nullptr;
  const long size = BIO_get_mem_data(SSL_get_wbio(raw->ssl()), &data);
  const std::string update(data, static_cast<std::size_t>(size));
  static_cast<void>(BIO_reset(SSL_get_wbio(raw->ssl())));
  ASSERT_TRUE(transport->try_write(as_buffer(update).first(7)));
  std::array<std::byte, 16> into;
  EXPECT_EQ(error_of(server->try_read(into)), Errc::would_block);
  ASSERT_TRUE(server->try_write(as_buffer("answer")));
  EXPECT_EQ(raw->read(), "answer");
  ASSERT_TRUE(transport->try_write(as_buffer(update).subspan(7)));
  EXPECT_EQ(error_of(server->try_read(into)), Errc::would_block);
  ASSERT_TRUE(server->try_write(as_buffer("with new keys")));
  EXPECT_EQ(raw->read(), "with new keys");
}

TEST_F(TlsRawPeer, APeerThatOnlyAsksForNewKeysIsCutOff) {
  connect(TLS1_3_VERSION, 4096);
  std::error_code error;
  for (int i = 0; i < 20'000 && !error; ++i) {
    raw->update_keys();
    std::array<std::byte, 16> into;
    const auto got = server->try_read(into);
    if (!got && got.error() != Errc::would_block) {
      error = got.error();
    }
    settle(loop);
  }
  EXPECT_EQ(error, Errc::limit_exceeded);
}

TEST_F(TlsRawPeer, ARecordInPiecesIsReadOnceItIsWhole) {
  connect(TLS1_3_VERSION);
  SSL_write(raw->ssl(), "whole", 5);
  char* data = nullptr;
  const long size = BIO_get_mem_data(SSL_get_wbio(raw->ssl()), &data);
  const std::string record(data, static_cast<std::size_t>(size));
  static_cast<void>(BIO_reset(SSL_get_wbio(raw->ssl())));
  const auto got = start(loop, read_count(server, 5));
  for (const char& one : record) {
    EXPECT_FALSE(got->has_value());
    ASSERT_TRUE(transport->try_write(as_buffer({&one, 1})));
    settle(loop);
  }
  ASSERT_TRUE(got->has_value());
  EXPECT_EQ(**got, "whole");
}

TEST_F(TlsRawPeer, AnAlteredRecordEndsTheStream) {
  connect(TLS1_3_VERSION);
  SSL_write(raw->ssl(), "whole", 5);
  char* data = nullptr;
  const long size = BIO_get_mem_data(SSL_get_wbio(raw->ssl()), &data);
  std::string record(data, static_cast<std::size_t>(size));
  static_cast<void>(BIO_reset(SSL_get_wbio(raw->ssl())));
  record.back() = static_cast<char>(record.back() ^ 1);
  ASSERT_TRUE(transport->try_write(as_buffer(record)));
  EXPECT_EQ(error_of(run(loop, read_to_end(server))), Errc::protocol_error);
  EXPECT_EQ(error_of(server->try_write(as_buffer("x"))), Errc::protocol_error);
}

}  // namespace
}  // namespace simplon::net::test
