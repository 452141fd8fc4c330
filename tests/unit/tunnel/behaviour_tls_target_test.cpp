// Behaviours 26 and 27 with a target that speaks TLS: an end without close_notify is no end of a
// body (RFC 9112 §9.8).
#include "harness.hpp"
#include "support/certificates.hpp"

namespace simplon::tunnel::test {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

enum class Ending : std::uint8_t { close_notify, truncation };

class TlsTarget : public TunnelTest {
 protected:
  TlsTarget() {
    const auto shown = authority_.issue("origin", {.subject_alternative = "DNS:localhost"});
    tls_ = net::TlsContext::make({.role = net::TlsRole::server,
                                  .certificate_chain = shown.chain,
                                  .private_key = shown.private_key,
                                  .protocols = {{.name = "http/1.1"}}})
               .value();
  }
  ~TlsTarget() override {
    if (sharing_) {
      sharing_->drain_all(std::chrono::seconds(0), [] {});
      net::test::settle(loop_);
      clock_.advance(std::chrono::seconds(1));
      net::test::settle(loop_);
    }
  }

  /// A client of a target that answers so and then ends.
  std::unique_ptr<Client> client_of(const std::string& response, Ending ending) {
    origin_.emplace(loop_, [this, response, ending](net::StreamPtr stream) {
      net::spawn(loop_, "tls origin", answer(std::move(stream), tls_, response, ending));
    });
    Settings settings;
    settings.target_trust_roots = authority_.root();
    sharing_.emplace(loop_, std::vector<net::Loop*>{&loop_}, settings);
    sharing_->add_overlay("default", host_network_);
    ready(*sharing_, create(*sharing_, {.name = "demo",
                                        .spec = Share{.service = "demo",
                                                      .overlay = {},
                                                      .target = "https://localhost:" +
                                                                std::to_string(origin_->port())}}));
    return std::make_unique<Client>(loop_, address(access("demo")));
  }

  static net::awaitable<void> answer(net::StreamPtr transport,
                                     std::shared_ptr<const net::TlsContext> tls,
                                     std::string response, Ending ending) {
    auto secured =
        co_await net::tls_accept(transport, tls, transport->loop().now() + std::chrono::seconds(9));
    std::array<std::byte, 4096> request;
    if (!secured || co_await net::read_some(**secured, request) == 0U) {
      co_return;  // the share's look whether anybody is there
    }
    (void)co_await net::write_all(**secured, net::as_buffer(response));
    (void)co_await net::flush(**secured);
    if (ending == Ending::truncation) {
      transport->close();
    } else {
      (*secured)->close();
    }
  }

  simplon::test::Authority authority_;
  std::shared_ptr<const net::TlsContext> tls_;
  std::optional<Origin> origin_;
  std::optional<Supervisor> sharing_;
};

using Behaviour26 = TlsTarget;
using Behaviour27 = TlsTarget;

const std::string kUntilClose = "HTTP/1.1 200 OK\r\nX-A: b\r\n\r\nall of it";
const std::string kOldClient = "GET / HTTP/1.0\r\nHost: a\r\n\r\n";

TEST_F(Behaviour26, ATlsTargetsCloseNotifyIsTheEndOfABody) {
  const auto client = client_of(kUntilClose, Ending::close_notify);
  client->get("/", "a");
  EXPECT_THAT(client->until("0\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.1 200 "), EndsWith("all of it\r\n0\r\n\r\n")));
}

TEST_F(Behaviour26, ATruncatedTlsConnectionIsNot) {
  const auto client = client_of(kUntilClose, Ending::truncation);
  client->get("/", "a");
  (void)client->ended();
  EXPECT_THAT(client->until("0\r\n\r\n"),
              AllOf(HasSubstr("all of it"), Not(HasSubstr("0\r\n\r\n"))));
}

TEST_F(Behaviour26, NorToAnHttp10Client) {
  const auto client = client_of(kUntilClose, Ending::truncation);
  client->send(kOldClient);
  EXPECT_FALSE(client->ended()) << "an end in order would look complete";
}

TEST_F(Behaviour26, AnHttp10ClientSeesTheEndOfAWholeOne) {
  const auto client = client_of(kUntilClose, Ending::close_notify);
  client->send(kOldClient);
  EXPECT_TRUE(client->ended());
  EXPECT_THAT(client->until("all"), EndsWith("\r\n\r\nall of it"));
}

TEST_F(Behaviour27, ABodyThatIsCompleteByItsFramingIsWholeHoweverTlsEnds) {
  const auto client =
      client_of("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", Ending::truncation);
  client->get("/", "a");
  EXPECT_THAT(client->until("\r\n\r\nbody"), EndsWith("\r\n\r\nbody"));
}

TEST_F(Behaviour27, ABodyThatIsNotIsCutHoweverTlsEnds) {
  const auto client = client_of(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n", Ending::close_notify);
  client->get("/", "a");
  (void)client->ended();
  EXPECT_THAT(client->until("0\r\n\r\n"), AllOf(HasSubstr("body"), Not(HasSubstr("0\r\n\r\n"))));
}

}  // namespace
}  // namespace simplon::tunnel::test
