#include "overlay/membership.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include "overlay/embedded/embedded.hpp"
#include "overlay/embedded/member_check.hpp"
#include "overlay/identity_text.hpp"
#include "overlay/zrok/zrok_network.hpp"

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
                                        std::vector<net::Loop*> loops,
                                        std::shared_ptr<MemoryBudget> budget) {
  auto network = make_embedded_network(
      control, {.identity = identity, .loops = std::move(loops), .budget = std::move(budget)});
  if (!network.ok()) {
    return network.status();
  }
  return Entrance{.network = std::move(*network),
                  .details = {},
                  .check = [loop = &control, identity = std::move(identity)](CheckReport report) {
                    return check_member(loop, identity, std::move(report));
                  }};
}

absl::StatusOr<Entrance> enter_ziti(net::Loop& control, ziti::IdentityFile identity,
                                    std::vector<net::Loop*> loops,
                                    std::shared_ptr<MemoryBudget> budget) {
  auto network = ziti::make_ziti_network(
      control,
      {.identity = std::move(identity), .loops = std::move(loops), .budget = std::move(budget)});
  if (!network.ok()) {
    return network.status();
  }
  const auto* ziti = network->get();
  return Entrance{.network = std::move(*network),
                  .details = [ziti] { return ziti->details(); },
                  .check = ziti->checks()};
}

absl::StatusOr<Entrance> enter_zrok(net::Loop& control, zrok::Membership membership,
                                    std::vector<net::Loop*> loops,
                                    std::shared_ptr<MemoryBudget> budget) {
  auto network = zrok::make_zrok_network(control, {.membership = std::move(membership),
                                                   .loops = std::move(loops),
                                                   .budget = std::move(budget),
                                                   .trust_roots = {}});
  if (!network.ok()) {
    return network.status();
  }
  const auto* zrok = network->get();
  return Entrance{.network = std::move(*network),
                  .details = [zrok] { return zrok->details(); },
                  .check = zrok->checks()};
}

}  // namespace

std::string_view kind_of(const Membership& membership) noexcept {
  if (std::holds_alternative<zrok::Membership>(membership)) {
    return "zrok";
  }
  return std::holds_alternative<IdentityFile>(membership) ? "embedded" : "ziti";
}

std::string name_of(const Membership& membership) {
  const auto* embedded = std::get_if<IdentityFile>(&membership);
  return embedded != nullptr ? embedded->name : std::string();
}

std::vector<std::string> addresses_of(const Membership& membership) {
  return std::visit(
      Match{[](const IdentityFile& identity) { return identity.addresses; },
            [](const ziti::IdentityFile& identity) {
              std::vector<std::string> out;
              out.reserve(identity.controllers.size());
              for (const std::string& url : identity.controllers) {
                out.push_back(shown(url));
              }
              return out;
            },
            [](const zrok::Membership& zrok) { return std::vector{zrok.account.endpoint}; }},
      membership);
}

absl::StatusOr<Membership> parse_membership(std::string_view text,
                                            const std::filesystem::path& folder) {
  if (text.size() > kMaxBytes) {
    return absl::InvalidArgumentError("identity: larger than 256 KiB");
  }
  if (zrok::is_membership(text)) {
    return zrok::parse_membership(text, folder);
  }
  if (is_of_ziti(text)) {
    return ziti::parse_identity(text, folder);
  }
  return parse_identity(text);
}

std::string to_json(const Membership& membership) {
  return std::visit(
      Match{[](const IdentityFile& identity) { return to_json(identity); },
            [](const ziti::IdentityFile& identity) { return ziti::to_json(identity); },
            [](const zrok::Membership& zrok) { return zrok::to_json(zrok); }},
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
                               std::vector<net::Loop*> loops,
                               std::shared_ptr<MemoryBudget> budget) {
  if (auto* embedded = std::get_if<IdentityFile>(&membership)) {
    return enter_embedded(control, std::move(*embedded), std::move(loops), std::move(budget));
  }
  if (auto* zrok = std::get_if<zrok::Membership>(&membership)) {
    return enter_zrok(control, std::move(*zrok), std::move(loops), std::move(budget));
  }
  return enter_ziti(control, std::get<ziti::IdentityFile>(std::move(membership)), std::move(loops),
                    std::move(budget));
}

net::awaitable<absl::Status> leave(net::Loop* loop, Membership membership) {
  auto* zrok = std::get_if<zrok::Membership>(&membership);
  if (zrok == nullptr) {
    co_return absl::OkStatus();
  }
  const auto deadline = loop->now() + kLeaveDeadline;
  co_return co_await zrok::disable(loop, std::move(*zrok), deadline);
}

}  // namespace simplon::overlay
