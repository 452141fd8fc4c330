#include "overlay/membership.hpp"

#include <utility>

#include "overlay/embedded/embedded.hpp"
#include "overlay/identity_text.hpp"

namespace simplon::overlay {

std::string_view kind_of(const Membership&) noexcept { return "embedded"; }

std::string name_of(const Membership& membership) {
  return std::get<IdentityFile>(membership).name;
}

std::vector<std::string> addresses_of(const Membership& membership) {
  return std::get<IdentityFile>(membership).addresses;
}

absl::StatusOr<Membership> parse_membership(std::string_view json, const std::filesystem::path&) {
  return parse_identity(json);
}

std::string to_json(const Membership& membership) {
  return to_json(std::get<IdentityFile>(membership));
}

absl::StatusOr<Membership> load_membership(const std::filesystem::path& file) {
  const auto text = read_identity_text(file, kMaxIdentityBytes + 1);
  if (!text.ok()) {
    return text.status();
  }
  auto membership = parse_membership(*text, file.parent_path());
  return membership.ok() ? std::move(membership) : about_identity(file, membership.status());
}

absl::Status save_membership(const Membership& membership, const std::filesystem::path& file,
                             bool replace) {
  return write_identity_text(to_json(membership), file, replace);
}

absl::StatusOr<std::unique_ptr<Network>> enter(net::Loop& control, Membership membership,
                                               std::vector<net::Loop*> loops) {
  return make_embedded_network(control, {.identity = std::get<IdentityFile>(std::move(membership)),
                                         .loops = std::move(loops),
                                         .budget = nullptr});
}

}  // namespace simplon::overlay
