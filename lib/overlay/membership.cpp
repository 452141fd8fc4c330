#include "overlay/membership.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include "overlay/embedded/embedded.hpp"
#include "overlay/identity_text.hpp"

namespace simplon::overlay {
namespace {

constexpr std::size_t kMaxBytes = ziti::kMaxIdentityBytes;
static_assert(kMaxBytes >= kMaxIdentityBytes);

template <class... Cases>
struct Match : Cases... {
  using Cases::operator()...;
};

bool is_of_ziti(std::string_view text) {
  const auto object = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  return object.is_object() && (object.contains("ztAPI") || object.contains("ztAPIs"));
}

// The address of a controller as people know it: without the path of its API.
std::string shown(std::string url) {
  constexpr std::string_view path = "/edge/client/v1";
  if (url.ends_with(path)) {
    url.resize(url.size() - path.size());
  }
  return url;
}

absl::StatusOr<Entrance> enter_embedded(net::Loop& control, IdentityFile identity,
                                        std::vector<net::Loop*> loops) {
  auto network = make_embedded_network(
      control, {.identity = std::move(identity), .loops = std::move(loops), .budget = nullptr});
  if (!network.ok()) {
    return network.status();
  }
  return Entrance{.network = std::move(*network), .details = {}};
}

absl::StatusOr<Entrance> enter_ziti(net::Loop& control, ziti::IdentityFile identity,
                                    std::vector<net::Loop*> loops) {
  auto network = ziti::make_ziti_network(
      control, {.identity = std::move(identity), .loops = std::move(loops)});
  if (!network.ok()) {
    return network.status();
  }
  const auto* ziti = network->get();
  return Entrance{.network = std::move(*network), .details = [ziti] { return ziti->details(); }};
}

}  // namespace

std::string_view kind_of(const Membership& membership) noexcept {
  return std::holds_alternative<IdentityFile>(membership) ? "embedded" : "ziti";
}

std::string name_of(const Membership& membership) {
  const auto* embedded = std::get_if<IdentityFile>(&membership);
  return embedded != nullptr ? embedded->name : std::string();
}

std::vector<std::string> addresses_of(const Membership& membership) {
  return std::visit(Match{[](const IdentityFile& identity) { return identity.addresses; },
                          [](const ziti::IdentityFile& identity) {
                            std::vector<std::string> out;
                            for (const std::string& url : identity.controllers) {
                              out.push_back(shown(url));
                            }
                            return out;
                          }},
                    membership);
}

absl::StatusOr<Membership> parse_membership(std::string_view text,
                                            const std::filesystem::path& folder) {
  if (text.size() > kMaxBytes) {
    return absl::InvalidArgumentError("identity: larger than 256 KiB");
  }
  if (is_of_ziti(text)) {
    return ziti::parse_identity(text, folder);
  }
  return parse_identity(text);
}

std::string to_json(const Membership& membership) {
  return std::visit(
      Match{[](const IdentityFile& identity) { return to_json(identity); },
            [](const ziti::IdentityFile& identity) { return ziti::to_json(identity); }},
      membership);
}

absl::StatusOr<Membership> load_membership(const std::filesystem::path& file) {
  const auto text = read_identity_text(file, kMaxBytes + 1);
  if (!text.ok()) {
    return text.status();
  }
  auto membership = parse_membership(*text, std::filesystem::absolute(file).parent_path());
  return membership.ok() ? std::move(membership) : about_identity(file, membership.status());
}

absl::Status save_membership(const Membership& membership, const std::filesystem::path& file,
                             bool replace) {
  return write_identity_text(to_json(membership), file, replace);
}

absl::StatusOr<Entrance> enter(net::Loop& control, Membership membership,
                               std::vector<net::Loop*> loops) {
  if (auto* embedded = std::get_if<IdentityFile>(&membership)) {
    return enter_embedded(control, std::move(*embedded), std::move(loops));
  }
  return enter_ziti(control, std::get<ziti::IdentityFile>(std::move(membership)), std::move(loops));
}

}  // namespace simplon::overlay
