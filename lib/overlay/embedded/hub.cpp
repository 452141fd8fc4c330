#include "overlay/embedded/hub.hpp"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>
#include <sodium.h>

#include "base/log.hpp"
#include "net/acceptor.hpp"
#include "net/tcp.hpp"
#include "overlay/embedded/hub_addresses.hpp"
#include "overlay/embedded/hub_core.hpp"
#include "overlay/embedded/hub_session.hpp"
#include "overlay/network.hpp"

namespace simplon::overlay {
namespace {

using base::Errc;
using std::chrono::system_clock;

constexpr const char* kOwnIdentity = "hub-identity.json";
constexpr std::chrono::hours kClockSkew{1};
// A certificate of our own that ends sooner is made anew at the start.
constexpr std::chrono::hours kRenewBefore{90 * 24};
constexpr std::size_t kSecretBytes = 32;

std::string sha256(std::string_view bytes) {
  std::string out(crypto_hash_sha256_BYTES, '\0');
  crypto_hash_sha256(reinterpret_cast<unsigned char*>(out.data()),
                     reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  return out;
}

// How the hub's own agent reaches it.
std::string own_address(net::Endpoint bound) {
  if (bound.host.empty() || bound.host == "0.0.0.0" || bound.host == "::") {
    bound.host = "127.0.0.1";
  }
  return net::to_string(bound);
}

absl::Status bad_name(std::string_view name) {
  return absl::InvalidArgumentError(absl::StrCat(
      "name ", std::string(name), ": 1 to 63 of a-z, 0-9 and hyphens, none at either end"));
}

class HubImpl final : public Hub {
 public:
  HubImpl(net::Loop& control, HubOptions options, std::unique_ptr<HubStore> store)
      : loop_(control),
        options_(std::move(options)),
        core_(std::make_shared<HubCore>(control, std::move(store), options_.loops,
                                        options_.budget)) {}

  ~HubImpl() override {
    acceptor_.reset();
    core_->stop();
  }

  absl::Status prepare();

  absl::Status listen(const net::Endpoint& endpoint) override;
  net::Endpoint bound() const override { return acceptor_ ? bound_ : net::Endpoint{}; }
  void advertise(std::vector<std::string> addresses) override;
  std::vector<std::string> addresses() const override { return core_->addresses; }
  bool loopback_only() const override { return all_loopback(core_->addresses); }

  absl::StatusOr<IssuedInvitation> invite(std::string_view name, bool frontend,
                                          std::chrono::seconds lifetime) override;
  absl::StatusOr<IssuedIdentity> sign(std::string_view name, std::string_view request,
                                      bool frontend) override;
  absl::StatusOr<IdentityFile> own_identity() override;

  bool has_members() const override {
    const auto found = core_->store->has_members();
    return !found.ok() || *found;
  }
  HubStats stats() const override;
  void drain() override;

 private:
  std::filesystem::path own_file() const { return options_.database.parent_path() / kOwnIdentity; }
  // Still of this network, this name and with these rights.
  bool own_works(const IdentityFile& identity) const;
  void accept(net::Accepted accepted);

  net::Loop& loop_;
  const HubOptions options_;
  const std::shared_ptr<HubCore> core_;
  std::unique_ptr<net::Acceptor> acceptor_;
  net::Endpoint bound_;
  std::vector<std::string> advertised_;
  std::string root_spki_;
  IdentityFile own_;
};

bool HubImpl::own_works(const IdentityFile& identity) const {
  const auto grant = read_certificate(identity.certificate);
  return grant && grant->name == options_.name && grant->hub && grant->frontend &&
         grant->not_after > system_clock::now() + kRenewBefore &&
         issued_by(identity.certificate, core_->store->authority().certificate);
}

// The identity of the hub's agent: the file's, if it is still right.
absl::Status HubImpl::prepare() {
  const auto root = spki_of(core_->store->authority().certificate);
  if (!root) {
    return absl::DataLossError("the network's root in the database is damaged");
  }
  root_spki_ = *root;
  auto kept = load_identity(own_file());
  if (kept.ok() && own_works(*kept)) {
    own_ = *std::move(kept);
  } else {
    if (!kept.ok() && !absl::IsNotFound(kept.status())) {
      base::log().warn("hub: making a new identity: {}", std::string(kept.status().message()));
    }
    const auto made = make_identity_request(options_.name);
    if (!made.ok()) {
      return made.status();
    }
    auto certificate = core_->issue(made->request, options_.name, /*frontend=*/true, /*hub=*/true);
    if (!certificate.ok()) {
      return certificate.status();
    }
    own_ = {.name = options_.name,
            .certificate = *std::move(certificate),
            .private_key = made->private_key,
            .trust_bundle = core_->store->authority().certificate,
            .addresses = {}};
  }
  const auto spki = spki_of(own_.certificate);
  if (!spki) {
    return absl::InternalError("the hub's own certificate cannot be read");
  }
  const HubStore::Member own{.name = own_.name,
                             .spki = *spki,
                             .certificate = own_.certificate,
                             .frontend = true,
                             .own = true};
  const auto known = core_->store->member_by_key(*spki);
  if (!known.ok()) {
    return known.status();
  }
  if (*known != own) {
    if (auto status = core_->store->put_own(own); !status.ok()) {
      return status;
    }
  }
  std::string why;
  auto tls =
      net::TlsContext::make({.role = net::TlsRole::server,
                             // The root too: who enrolls knows only its hash.
                             .certificate_chain = own_.certificate + own_.trust_bundle,
                             .private_key = own_.private_key,
                             .trust_roots = own_.trust_bundle,
                             .protocols = {{.name = kSessionProtocol, .peer_certificate = true},
                                           {.name = kEnrollProtocol}},
                             .protocol_required = true,
                             .tls13_only = true},
                            &why);
  if (!tls) {
    return absl::InternalError("the hub's identity does not work: " + why);
  }
  core_->tls = *std::move(tls);
  return absl::OkStatus();
}

absl::Status HubImpl::listen(const net::Endpoint& endpoint) {
  if (acceptor_) {
    return absl::FailedPreconditionError("the hub listens already");
  }
  auto acceptor = net::listen_tcp(loop_, endpoint);
  if (!acceptor) {
    const std::string text =
        absl::StrCat("hub: ", net::to_string(endpoint), ": ", acceptor.error().message());
    return acceptor.error() == Errc::address_in_use ? absl::AlreadyExistsError(text)
                                                    : absl::InvalidArgumentError(text);
  }
  bound_ = (*acceptor)->endpoint();
  auto identity = own_;
  identity.addresses = {own_address(bound_)};
  if (identity != own_) {
    if (auto status = save_identity(identity, own_file(), /*replace=*/true); !status.ok()) {
      return status;
    }
    own_ = std::move(identity);
  }
  acceptor_ = *std::move(acceptor);
  advertise(std::move(advertised_));
  acceptor_->start([this](net::Accepted accepted) { accept(std::move(accepted)); });
  return absl::OkStatus();
}

void HubImpl::accept(net::Accepted accepted) {
  const std::string source = HubGate::source_of(accepted.from);
  auto slot = core_->gate->admit(source);
  if (!slot) {
    refuse(*core_, source, "over the limit of connections that have not proven who they are");
    return;
  }
  net::spawn(loop_, "hub connection",
             serve_connection(core_, std::move(accepted.socket), source, *std::move(slot)));
}

void HubImpl::advertise(std::vector<std::string> addresses) {
  advertised_ = std::move(addresses);
  if (!advertised_.empty()) {
    core_->addresses = advertised_;
  } else if (acceptor_) {
    core_->addresses = reachable_addresses(bound_);
  }
}

absl::StatusOr<IssuedInvitation> HubImpl::invite(std::string_view name, bool frontend,
                                                 std::chrono::seconds lifetime) {
  if (!valid_service_name(name)) {
    return bad_name(name);
  }
  if (lifetime < std::chrono::seconds(1) || lifetime > kMaxInvitation) {
    return absl::InvalidArgumentError("lifetime: from 1 second to 30 days");
  }
  if (core_->addresses.empty()) {
    return absl::FailedPreconditionError("the hub does not listen yet");
  }
  const auto now = system_clock::now();
  Token token{.name = std::string(name),
              .addresses = core_->addresses,
              .root_spki = root_spki_,
              .secret = std::string(kSecretBytes, '\0'),
              .expires = std::chrono::floor<std::chrono::seconds>(now + lifetime)};
  randombytes_buf(token.secret.data(), token.secret.size());
  auto added = core_->store->add_invitation({.secret_sha256 = sha256(token.secret),
                                             .name = token.name,
                                             .frontend = frontend,
                                             .expires = token.expires},
                                            now);
  if (!added.ok()) {
    return added;
  }
  return IssuedInvitation{.token = std::move(token), .loopback_only = loopback_only()};
}

absl::StatusOr<IssuedIdentity> HubImpl::sign(std::string_view name, std::string_view request,
                                             bool frontend) {
  if (!valid_service_name(name)) {
    return bad_name(name);
  }
  const auto spki = spki_of(request);
  if (!spki) {
    return absl::InvalidArgumentError("request: not a certificate request");
  }
  HubStore::Member member{
      .name = std::string(name), .spki = *spki, .certificate = {}, .frontend = frontend};
  auto certificate = core_->issue(request, member.name, frontend);
  if (!certificate.ok()) {
    return certificate.status();
  }
  member.certificate = *std::move(certificate);
  if (auto status = core_->store->put_member(member); !status.ok()) {
    return status;
  }
  const auto grant = read_certificate(member.certificate);
  return IssuedIdentity{.certificate = member.certificate,
                        .trust_bundle = core_->store->authority().certificate,
                        .addresses = core_->addresses,
                        .expires = grant ? grant->not_after : system_clock::time_point{}};
}

absl::StatusOr<IdentityFile> HubImpl::own_identity() {
  if (!acceptor_) {
    return absl::FailedPreconditionError("the hub does not listen yet");
  }
  return own_;
}

HubStats HubImpl::stats() const {
  return {.members_online = static_cast<std::uint32_t>(core_->directory.members()),
          .relays = core_->relay.pairs(),
          .relayed_bytes = core_->relay.bytes(),
          .refused_connections = core_->gate->refusals()};
}

void HubImpl::drain() {
  acceptor_.reset();
  for (const auto& session : core_->sessions) {
    session->go_away();
  }
}

}  // namespace

void HubCore::stop() {
  stopped = true;
  relay.stop();
  for (const auto& session : std::exchange(sessions, {})) {
    session->reset();
  }
}

absl::StatusOr<std::string> HubCore::issue(std::string_view request, const std::string& name,
                                           bool frontend, bool hub) const {
  const auto now = system_clock::now();
  auto certificate = sign_request(store->authority(), request,
                                  {.name = name,
                                   .frontend = frontend,
                                   .hub = hub,
                                   .not_before = now - kClockSkew,
                                   .not_after = now + kMemberLifetime});
  if (!certificate) {
    return certificate.error() == Errc::invalid_argument
               ? absl::InvalidArgumentError("not a certificate request for a P-256 key")
               : absl::InternalError("the certificate cannot be made");
  }
  return *std::move(certificate);
}

absl::StatusOr<std::unique_ptr<Hub>> Hub::open(net::Loop& control, HubOptions options) {
  if (!valid_service_name(options.name)) {
    return bad_name(options.name);
  }
  if (options.loops.empty() || sodium_init() < 0) {
    return absl::InvalidArgumentError("hub: no loops, or no random numbers");
  }
  auto store = HubStore::open(options.database);
  if (!store.ok()) {
    return store.status();
  }
  auto hub = std::make_unique<HubImpl>(control, std::move(options), *std::move(store));
  if (auto status = hub->prepare(); !status.ok()) {
    return status;
  }
  return hub;
}

}  // namespace simplon::overlay
