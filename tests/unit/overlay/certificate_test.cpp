#include "overlay/embedded/certificate.hpp"

#include <gtest/gtest.h>

#include "net/memory.hpp"
#include "net/tls.hpp"
#include "support/certificates.hpp"
#include "unit/net/harness.hpp"

namespace simplon::overlay {
namespace {

using base::Errc;
using std::chrono::floor;
using std::chrono::hours;
using std::chrono::seconds;
using std::chrono::system_clock;

Grant grant(const std::string& name) {
  const auto now = floor<seconds>(system_clock::now());
  return {.name = name, .not_before = now - hours(1), .not_after = now + hours(24)};
}

class CertificateTest : public testing::Test {
 protected:
  std::string issue(const Grant& what) {
    return sign_request(authority, make_request(key, "wished").value(), what).value();
  }

  Authority authority = make_authority().value();
  std::string key = make_private_key().value();
};

TEST_F(CertificateTest, ACertificateSaysWhatWasGranted) {
  Grant asked = grant("shop-7");
  EXPECT_EQ(read_certificate(issue(asked)).value(), asked);
  asked.frontend = true;
  EXPECT_EQ(read_certificate(issue(asked)).value(), asked);
  asked.hub = true;
  EXPECT_EQ(read_certificate(issue(asked)).value(), asked);
}

TEST_F(CertificateTest, TheKeyOfRequestAndCertificateIsTheSame) {
  const auto request = make_request(key, "a").value();
  const auto certificate = sign_request(authority, request, grant("a")).value();
  EXPECT_EQ(spki_of(request).value(), spki_of(certificate).value());
  EXPECT_EQ(spki_of(request)->size(), 32U);
  EXPECT_NE(spki_of(request).value(), spki_of(authority.certificate).value());
  EXPECT_TRUE(key_matches(certificate, key));
  EXPECT_FALSE(key_matches(certificate, make_private_key().value()));
}

TEST_F(CertificateTest, OnlyTheRootThatSignedIsTheIssuer) {
  const auto certificate = issue(grant("a"));
  const auto other = make_authority().value();
  EXPECT_TRUE(issued_by(certificate, authority.certificate));
  EXPECT_TRUE(issued_by(certificate, other.certificate + authority.certificate));
  EXPECT_FALSE(issued_by(certificate, other.certificate));
  EXPECT_FALSE(issued_by(certificate, ""));
}

TEST_F(CertificateTest, ARequestThatIsDamagedIsNotSigned) {
  const auto request = make_request(key, "a").value();
  EXPECT_EQ(sign_request(authority, "", grant("a")).error(), Errc::invalid_argument);
  EXPECT_EQ(sign_request(authority, key, grant("a")).error(), Errc::invalid_argument);
  EXPECT_EQ(sign_request(authority, std::string(kMaxCertificateBytes + 1, 'x'), grant("a")).error(),
            Errc::invalid_argument);
  int signed_anyway = 0;
  const std::size_t first = request.find('\n') + 1;
  for (std::size_t i = first; i + 40 < request.size(); i += 5) {
    auto damaged = request;
    damaged[i] = damaged[i] == 'A' ? 'B' : 'A';
    signed_anyway += damaged != request && sign_request(authority, damaged, grant("a")) ? 1 : 0;
  }
  EXPECT_EQ(signed_anyway, 0);
}

TEST_F(CertificateTest, ARequestForAnotherKindOfKeyIsNotSigned) {
  using namespace simplon::test::detail;
  for (const bool rsa : {true, false}) {
    const Key other(rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-384"));
    X509_REQ* const request = X509_REQ_new();
    must(X509_REQ_set_pubkey(request, other.get()) == 1);
    must(X509_REQ_sign(request, other.get(), EVP_sha256()) > 0);
    const auto text = pem([&](BIO* bio) { return PEM_write_bio_X509_REQ(bio, request); });
    X509_REQ_free(request);
    EXPECT_EQ(sign_request(authority, text, grant("a")).error(), Errc::invalid_argument);
  }
}

TEST_F(CertificateTest, NamesThatAreNoLabelAreRefused) {
  const auto request = make_request(key, "a").value();
  for (const std::string name : {"", "A", "a.b", "-a", "a,URI:simplon:right/hub", "a b"}) {
    EXPECT_EQ(sign_request(authority, request, grant(name)).error(), Errc::invalid_argument);
    EXPECT_EQ(make_request(key, name).error(), Errc::invalid_argument);
  }
}

TEST_F(CertificateTest, OtherCertificatesAreNoMembers) {
  EXPECT_EQ(read_certificate(authority.certificate).error(), Errc::protocol_error);
  EXPECT_EQ(read_certificate("").error(), Errc::protocol_error);
  EXPECT_EQ(read_certificate("-----BEGIN CERTIFICATE-----\nAAAA\n").error(), Errc::protocol_error);
  const simplon::test::Authority other("other");
  for (const std::string names :
       {"DNS:a", "URI:simplon:name/b", "URI:simplon:name/a,URI:simplon:name/a", "URI:simplon:name/",
        "URI:simplon:right/hub"}) {
    const auto shown = other.issue("a", {.subject_alternative = names});
    EXPECT_EQ(read_certificate(shown.chain).error(), Errc::protocol_error) << names;
  }
  const auto fine = other.issue("a", {.subject_alternative = "URI:simplon:name/a"});
  EXPECT_TRUE(read_certificate(fine.chain));
}

// The certificates work in the handshake that they are for, in both roles.
TEST_F(CertificateTest, MembersAuthenticateEachOtherOverTls) {
  base::ManualClock clock;
  net::Loop loop{clock};
  auto [near, far] = net::make_memory_pair(loop);
  const auto options = [&](net::TlsRole role, const std::string& name) {
    net::TlsOptions out{.role = role,
                        .certificate_chain = issue(grant(name)),
                        .private_key = key,
                        .trust_roots = authority.certificate,
                        .protocols = {{.name = "simplon/1", .peer_certificate = true}},
                        .protocol_required = true,
                        .tls13_only = true};
    return net::TlsContext::make(out).value();
  };
  const auto deadline = clock.now() + seconds(5);
  const auto accepting =
      net::test::start(loop, net::tls_accept(far, options(net::TlsRole::server, "hub"), deadline));
  const auto connected = net::test::run(
      loop, net::tls_connect(near, options(net::TlsRole::client, "shop"), "", deadline));
  net::test::settle(loop);
  ASSERT_TRUE(connected);
  ASSERT_TRUE(accepting->has_value() && accepting->value());
  EXPECT_EQ((*connected)->peer()->name, "hub");
  const net::Peer* const seen = (**accepting)->get()->peer();
  EXPECT_EQ(seen->name, "shop");
  EXPECT_EQ(read_certificate(seen->certificate)->name, "shop");
  EXPECT_EQ(spki_of(seen->certificate).value(), seen->spki_sha256);
}

}  // namespace
}  // namespace simplon::overlay
