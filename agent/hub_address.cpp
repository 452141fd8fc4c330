#include "agent/hub_address.hpp"

#include <array>
#include <string_view>

namespace simplon::agent {
namespace {

constexpr std::array<std::string_view, 1> kSteps{
    "CREATE TABLE agent_hub ("
    " id INTEGER PRIMARY KEY CHECK (id = 1), listen TEXT NOT NULL) STRICT;"};

}  // namespace

absl::StatusOr<KeptAddress> KeptAddress::open(const std::filesystem::path& database) {
  auto opened = base::Database::open(database);
  if (!opened.ok()) {
    return opened.status();
  }
  if (auto status = (*opened)->migrate("agent", kSteps); !status.ok()) {
    return status;
  }
  KeptAddress out(std::move(*opened));
  auto read = out.database_->prepare("SELECT listen FROM agent_hub");
  const auto row = read.step();
  if (!row.ok()) {
    return row.status();
  }
  if (*row) {
    if (const auto endpoint = net::parse_endpoint(read.text(0))) {
      out.address_ = *endpoint;
    }
  }
  return out;
}

absl::Status KeptAddress::set(const net::Endpoint& address) {
  if (address_ == address) {
    return absl::OkStatus();
  }
  auto status = database_
                    ->prepare(
                        "INSERT INTO agent_hub VALUES (1, ?) ON CONFLICT DO UPDATE SET listen = "
                        "excluded.listen")
                    .run(net::to_string(address));
  if (status.ok()) {
    address_ = address;
  }
  return status;
}

std::vector<net::Endpoint> hub_candidates(const HubListen& wanted,
                                          const std::optional<net::Endpoint>& kept) {
  if (wanted.chosen && wanted.endpoint.port != 0) {
    return {wanted.endpoint};
  }
  const net::Endpoint any{wanted.endpoint.host, 0};
  std::vector<net::Endpoint> out;
  if (kept && kept->host == wanted.endpoint.host) {
    out.push_back(*kept);
  } else if (!wanted.chosen) {
    out.push_back(wanted.endpoint);
  }
  out.push_back(any);
  return out;
}

}  // namespace simplon::agent
