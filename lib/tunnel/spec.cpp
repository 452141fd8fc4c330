#include "tunnel/spec.hpp"

#include <algorithm>
#include <utility>

#include "net/endpoint.hpp"
#include "overlay/network.hpp"
#include "tunnel/spec_check.hpp"
#include "tunnel/target.hpp"

namespace simplon::tunnel {
namespace {

absl::Status check_label(std::string_view field, std::string_view value) {
  return overlay::valid_service_name(value) ? absl::OkStatus()
                                            : wrong(field, quoted(value).append(kLabelRule));
}

// Any overlay's names; what the chosen one allows is asked when it is known (Supervisor::prepare).
absl::Status check_service(std::string_view field, std::string_view value) {
  return overlay::valid_service_text(value)
             ? absl::OkStatus()
             : wrong(field, quoted(value).append(
                                "must be 1 to 256 bytes of text without control characters"));
}

absl::Status check_listen(std::string_view field, std::string& listen) {
  if (listen.empty()) {
    listen = "127.0.0.1:0";
  }
  const auto endpoint = net::parse_endpoint(listen);
  if (!endpoint) {
    return wrong(field, quoted(listen) + "is not address:port, such as \"127.0.0.1:8080\"");
  }
  if (!endpoint->host.empty() && endpoint->host != "localhost" &&
      !net::SocketAddress::from_ip(endpoint->host, endpoint->port)) {
    return wrong(field, quoted(listen) + "does not begin with an IP address or \"localhost\"");
  }
  listen = net::to_string(*endpoint);
  return absl::OkStatus();
}

absl::Status check_zone(std::string& zone) {
  std::ranges::transform(zone, zone.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (zone.empty()) {
    return wrong("frontend.zone", "is missing: the domain under which services are reached");
  }
  // 64 bytes stay for "<service>.".
  bool valid = zone.size() <= 189;
  for (std::size_t begin = 0; valid && begin <= zone.size();) {
    const auto end = std::min(zone.find('.', begin), zone.size());
    valid = overlay::valid_service_name(std::string_view(zone).substr(begin, end - begin));
    begin = end + 1;
  }
  return valid
             ? absl::OkStatus()
             : wrong("frontend.zone", quoted(zone) + "is not a DNS name, such as \"example.org\"");
}

absl::Status check(Share& share) {
  if (!share.service.empty()) {
    if (auto status = check_service("share.service", share.service); !status.ok()) {
      return status;
    }
  }
  const auto target = parse_target(share.target);
  if (!target.ok()) {
    return wrong("share.target", std::string(target.status().message()));
  }
  share.target = target->text();
  return check_http(share, *target);
}

absl::Status check(Access& access) {
  if (access.service.empty()) {
    return wrong("access.service", "is missing: which service to reach");
  }
  if (auto status = check_service("access.service", access.service); !status.ok()) {
    return status;
  }
  if (auto status = check_listen("access.listen", access.listen); !status.ok()) {
    return status;
  }
  return check_http(access);
}

absl::Status check(Frontend& frontend) {
  if (auto status = check_zone(frontend.zone); !status.ok()) {
    return status;
  }
  if (auto status = check_listen("frontend.listen", frontend.listen); !status.ok()) {
    return status;
  }
  return check_http(frontend);
}

}  // namespace

std::string_view kind_name(const Spec& spec) noexcept {
  switch (spec.index()) {
    case 0:
      return "share";
    case 1:
      return "access";
    default:
      return "frontend";
  }
}

const std::string& overlay_of(const Spec& spec) {
  return std::visit([](const auto& kind) -> const std::string& { return kind.overlay; }, spec);
}

void set_overlay(Spec& spec, std::string overlay) {
  std::visit([&](auto& kind) { kind.overlay = std::move(overlay); }, spec);
}

const std::string* service_of(const Spec& spec) noexcept {
  if (const auto* share = std::get_if<Share>(&spec)) {
    return &share->service;
  }
  const auto* access = std::get_if<Access>(&spec);
  return access != nullptr ? &access->service : nullptr;
}

const std::string* listen_of(const Spec& spec) noexcept {
  if (const auto* access = std::get_if<Access>(&spec)) {
    return &access->listen;
  }
  const auto* frontend = std::get_if<Frontend>(&spec);
  return frontend != nullptr ? &frontend->listen : nullptr;
}

std::string* listen_of(Spec& spec) noexcept {
  return const_cast<std::string*>(listen_of(std::as_const(spec)));
}

const HttpSettings& http_of(const Spec& spec) {
  return std::visit([](const auto& kind) -> const HttpSettings& { return kind.http; }, spec);
}

const std::vector<std::string>* trusted_proxies_of(const Spec& spec) noexcept {
  if (const auto* access = std::get_if<Access>(&spec)) {
    return &access->trusted_proxies;
  }
  const auto* frontend = std::get_if<Frontend>(&spec);
  return frontend != nullptr ? &frontend->trusted_proxies : nullptr;
}

std::string url_of(const Tunnel& tunnel) {
  const std::string* listen = listen_of(tunnel.spec);
  if (listen == nullptr) {
    return {};
  }
  auto endpoint = net::parse_endpoint(*listen).value_or(net::Endpoint{});
  if (const auto* frontend = std::get_if<Frontend>(&tunnel.spec)) {
    const std::string port = endpoint.port == 80 ? "" : ":" + std::to_string(endpoint.port);
    return "http://*." + frontend->zone + port;
  }
  if (endpoint.host.empty() || endpoint.host == "0.0.0.0" || endpoint.host == "::") {
    endpoint.host = "localhost";
  }
  const bool http = std::get<Access>(tunnel.spec).protocol == Protocol::http;
  return (http ? "http://" : "tcp://") + net::to_string(endpoint);
}

absl::Status normalize(Tunnel& tunnel) {
  if (!tunnel.name.empty()) {
    if (auto status = check_label("name", tunnel.name); !status.ok()) {
      return status;
    }
  }
  if (tunnel.labels.size() > kMaxLabels) {
    return wrong("labels", "are more than 32");
  }
  for (const auto& [key, value] : tunnel.labels) {
    if (key.empty() || key.size() > kMaxLabelBytes || value.size() > kMaxLabelBytes) {
      return wrong("labels", quoted(key) + "or its value is empty or longer than 128 bytes");
    }
  }
  const std::string field = std::string(kind_name(tunnel.spec)) + ".overlay";
  if (const auto& name = overlay_of(tunnel.spec); !name.empty()) {
    if (auto status = check_label(field, name); !status.ok()) {
      return status;
    }
  }
  return std::visit([](auto& kind) { return check(kind); }, tunnel.spec);
}

}  // namespace simplon::tunnel
