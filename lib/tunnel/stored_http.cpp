#include "tunnel/stored_http.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <utility>

namespace simplon::tunnel {

namespace {

using Action = http::HeaderRule::Action;

constexpr std::array<std::pair<Action, std::string_view>, 3> kActions{
    {{Action::add, "add"}, {Action::set, "set"}, {Action::remove, "remove"}}};

constexpr std::string_view kTimeouts = "timeouts.";
constexpr std::string_view kLimits = "limits.";
constexpr std::string_view kVia = "via";

// False for a setting that this version does not know.
bool set(HttpSettings& http, std::string_view setting, std::int64_t value) {
  if (setting == kVia) {
    http.via = value != 0;
    return true;
  }
  if (setting.starts_with(kTimeouts)) {
    setting.remove_prefix(kTimeouts.size());
    const auto field = std::ranges::find(kTimeoutFields, setting, &TimeoutField::name);
    if (field != kTimeoutFields.end()) {
      http.timeouts.*field->chosen = std::chrono::milliseconds(value);
    }
    return field != kTimeoutFields.end();
  }
  if (setting.starts_with(kLimits)) {
    setting.remove_prefix(kLimits.size());
    const auto field = std::ranges::find(kLimitFields, setting, &LimitField::name);
    if (field != kLimitFields.end()) {
      http.limits.*field->chosen = static_cast<std::uint64_t>(value);
    }
    return field != kLimitFields.end();
  }
  return false;
}

// Calls `row` for each row of a tunnel that exists; the first column is its uid.
absl::Status for_each_row(base::Statement select,
                          const std::unordered_map<std::string, std::shared_ptr<Tunnel>>& tunnels,
                          const std::function<absl::Status(const base::Statement&, Tunnel&)>& row) {
  auto more = select.step();
  for (; more.ok() && *more; more = select.step()) {
    if (const auto found = tunnels.find(select.text(0)); found != tunnels.end()) {
      if (auto status = row(select, *found->second); !status.ok()) {
        return status;
      }
    }
  }
  return more.status();
}

HttpSettings& http_of(Tunnel& tunnel) {
  return std::visit([](auto& kind) -> HttpSettings& { return kind.http; }, tunnel.spec);
}

absl::Status unknown(std::string_view what, std::string_view value) {
  return absl::DataLossError(
      std::string("the state of a tunnel has an unknown ").append(what).append(": ").append(value));
}

absl::Status load_rule(const base::Statement& row, Tunnel& tunnel) {
  auto* share = std::get_if<Share>(&tunnel.spec);
  const std::string name = row.text(2);
  const auto action =
      std::ranges::find(kActions, name, &std::pair<Action, std::string_view>::second);
  if (share == nullptr || action == kActions.end()) {
    return unknown("header rule", name);
  }
  auto& rules = row.text(1) == "request" ? share->request_headers : share->response_headers;
  rules.push_back({.action = action->first, .name = row.text(3), .value = row.text(4)});
  return absl::OkStatus();
}

absl::Status load_proxy(const base::Statement& row, Tunnel& tunnel) {
  if (auto* access = std::get_if<Access>(&tunnel.spec)) {
    access->trusted_proxies.push_back(row.text(1));
  } else if (auto* frontend = std::get_if<Frontend>(&tunnel.spec)) {
    frontend->trusted_proxies.push_back(row.text(1));
  } else {
    return unknown("trusted proxy", row.text(1));
  }
  return absl::OkStatus();
}

}  // namespace

StoredHttp::StoredHttp(base::Database& database)
    : database_(database),
      insert_setting_(database.prepare("INSERT INTO tunnel_settings VALUES (?, ?, ?)")),
      insert_rule_(database.prepare("INSERT INTO tunnel_header_rules VALUES (?, ?, ?, ?, ?, ?)")),
      insert_proxy_(database.prepare("INSERT INTO tunnel_trusted_proxies VALUES (?, ?, ?)")) {}

absl::Status StoredHttp::insert(const Tunnel& tunnel) {
  const HttpSettings& http = tunnel::http_of(tunnel.spec);
  absl::Status status;
  const auto put = [&](std::string_view group, std::string_view name, std::int64_t value) {
    status.Update(insert_setting_.run(tunnel.uid, std::string(group).append(name), value));
  };
  for (const TimeoutField& field : kTimeoutFields) {
    if (const auto& chosen = http.timeouts.*field.chosen) {
      put(kTimeouts, field.name, chosen->count());
    }
  }
  for (const LimitField& field : kLimitFields) {
    if (const std::uint64_t chosen = http.limits.*field.chosen; chosen != 0) {
      put(kLimits, field.name, static_cast<std::int64_t>(chosen));
    }
  }
  if (!http.via) {
    put({}, kVia, 0);
  }
  if (const auto* share = std::get_if<Share>(&tunnel.spec)) {
    status.Update(insert_rules(tunnel.uid, "request", share->request_headers));
    status.Update(insert_rules(tunnel.uid, "response", share->response_headers));
  }
  if (const auto* proxies = trusted_proxies_of(tunnel.spec)) {
    std::int64_t position = 0;
    for (const std::string& proxy : *proxies) {
      status.Update(insert_proxy_.run(tunnel.uid, position++, proxy));
    }
  }
  return status;
}

absl::Status StoredHttp::insert_rules(const std::string& uid, std::string_view direction,
                                      const std::vector<http::HeaderRule>& rules) {
  absl::Status status;
  std::int64_t position = 0;
  for (const http::HeaderRule& rule : rules) {
    const auto action =
        std::ranges::find(kActions, rule.action, &std::pair<Action, std::string_view>::first);
    status.Update(insert_rule_.run(uid, direction, position++, action->second, rule.name,
                                   base::Blob{rule.value}));
  }
  return status;
}

absl::Status StoredHttp::load(
    const std::unordered_map<std::string, std::shared_ptr<Tunnel>>& tunnels) {
  absl::Status status = for_each_row(
      database_.prepare("SELECT uid, setting, value FROM tunnel_settings"), tunnels,
      [](const base::Statement& row, Tunnel& tunnel) {
        return set(http_of(tunnel), row.text(1), row.integer(2)) ? absl::OkStatus()
                                                                 : unknown("setting", row.text(1));
      });
  status.Update(for_each_row(
      database_.prepare("SELECT uid, direction, action, name, value FROM tunnel_header_rules"
                        " ORDER BY uid, direction, position"),
      tunnels, load_rule));
  status.Update(for_each_row(
      database_.prepare("SELECT uid, proxy FROM tunnel_trusted_proxies ORDER BY uid, position"),
      tunnels, load_proxy));
  return status;
}

}  // namespace simplon::tunnel
