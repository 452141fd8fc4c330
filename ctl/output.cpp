#include "ctl/output.hpp"

#include <algorithm>
#include <array>

#include <google/protobuf/util/json_util.h>
#include <nlohmann/json.hpp>

#include "ctl/http_details.hpp"
#include "ctl/table.hpp"

namespace simplon::ctl {
namespace {

using Clock = std::chrono::system_clock;

std::string state_of(const v1::TunnelStatus::Hop& hop) {
  return lowered(v1::TunnelStatus::Hop::State_Name(hop.state()), "STATE_");
}

std::string to_what(const v1::Tunnel& tunnel) {
  switch (tunnel.spec_case()) {
    case v1::Tunnel::kShare:
      return tunnel.share().target();
    case v1::Tunnel::kAccess:
      return tunnel.access().service();
    case v1::Tunnel::kFrontend:
      return "*." + tunnel.frontend().zone();
    case v1::Tunnel::SPEC_NOT_SET:
      return {};
  }
  return {};
}

std::string labels(const v1::Tunnel& tunnel) {
  std::vector<std::string> pairs;
  for (const auto& [key, value] : tunnel.labels()) {
    std::string& pair = pairs.emplace_back(key);
    pair.append("=").append(value);
  }
  std::ranges::sort(pairs);
  return joined({pairs.begin(), pairs.end()});
}

// The names of the API's status codes, by number.
constexpr std::array<std::string_view, 17> kCodes{
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};

std::string_view code_name(const Trouble& trouble) {
  if (trouble.code > 0 && trouble.code < static_cast<int>(kCodes.size())) {
    return kCodes.at(static_cast<std::size_t>(trouble.code));
  }
  switch (trouble.exit) {
    case Exit::usage:
      return "USAGE";
    case Exit::unreachable:
      return "UNREACHABLE";
    case Exit::not_found:
      return "NOT_FOUND";
    case Exit::done:
    case Exit::failed:
      break;
  }
  return "FAILED";
}

}  // namespace

std::string to_json(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  std::string out;
  if (!google::protobuf::util::MessageToJsonString(message, &out, options).ok()) {
    return "{}\n";
  }
  if (!out.ends_with('\n')) {
    out += '\n';
  }
  return out;
}

std::string lowered(std::string name, std::string_view prefix) {
  if (name.starts_with(prefix)) {
    name.erase(0, prefix.size());
  }
  std::ranges::transform(name, name.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return name == "unspecified" ? "unknown" : name;
}

std::string kind_of(const v1::Tunnel& tunnel) {
  switch (tunnel.spec_case()) {
    case v1::Tunnel::kShare:
      return "share";
    case v1::Tunnel::kAccess:
      return "access";
    case v1::Tunnel::kFrontend:
      return "frontend";
    case v1::Tunnel::SPEC_NOT_SET:
      break;
  }
  return "unknown";
}

std::string phase_of(const v1::Tunnel& tunnel) {
  return lowered(v1::TunnelStatus::Phase_Name(tunnel.status().phase()), "PHASE_");
}

std::string service_of(const v1::Tunnel& tunnel) {
  if (!tunnel.has_share()) {
    return tunnel.access().service();
  }
  if (!tunnel.status().known_as().empty()) {
    return tunnel.status().known_as();
  }
  return tunnel.share().service().empty() ? tunnel.name() : tunnel.share().service();
}

std::string address_of(const v1::Tunnel& tunnel) {
  return tunnel.status().url().empty() ? service_of(tunnel) : tunnel.status().url();
}

std::string joined(const google::protobuf::RepeatedPtrField<std::string>& values) {
  std::string out;
  for (const auto& value : values) {
    out += out.empty() ? "" : ", ";
    out += value;
  }
  return out;
}

std::string age(const google::protobuf::Timestamp& since, Clock::time_point now) {
  const auto then = Clock::time_point(std::chrono::seconds(since.seconds()));
  const auto seconds = std::max<std::int64_t>(
      0, std::chrono::duration_cast<std::chrono::seconds>(now - then).count());
  if (seconds < 120) {
    return std::to_string(seconds) + "s";
  }
  if (seconds < 120 * 60) {
    return std::to_string(seconds / 60) + "m";
  }
  if (seconds < 48 * 3600) {
    return std::to_string(seconds / 3600) + "h";
  }
  return std::to_string(seconds / 86400) + "d";
}

std::string tunnel_table(const v1::ListTunnelsResponse& list, Clock::time_point now) {
  std::vector<Row> rows{{"NAME", "KIND", "PHASE", "ADDRESS", "TO", "AGE"}};
  for (const auto& tunnel : list.tunnels()) {
    rows.push_back({tunnel.name(), kind_of(tunnel), phase_of(tunnel), address_of(tunnel),
                    to_what(tunnel), age(tunnel.create_time(), now)});
  }
  return table(rows);
}

std::string tunnel_details(const v1::Tunnel& tunnel, Clock::time_point now) {
  const auto& status = tunnel.status();
  const auto& counters = status.counters();
  std::vector<std::pair<std::string, std::string>> values{
      {"name", tunnel.name()},       {"kind", kind_of(tunnel)},      {"phase", phase_of(tunnel)},
      {"message", status.message()}, {"url", joined(status.urls())},
  };
  if (tunnel.has_share()) {
    values.insert(values.end(), {{"service", service_of(tunnel)},
                                 {"target", tunnel.share().target()},
                                 {"public", tunnel.share().public_() ? "yes" : "no"},
                                 {"overlay", tunnel.share().overlay()}});
    if (tunnel.share().has_ziti()) {
      const auto& rank = tunnel.share().ziti();
      values.emplace_back("cost", std::to_string(rank.cost()));
      values.emplace_back("precedence",
                          lowered(v1::ZitiRank::Precedence_Name(rank.precedence()), "PRECEDENCE_"));
    }
  } else if (tunnel.has_access()) {
    values.insert(values.end(),
                  {{"service", tunnel.access().service()},
                   {"listen", tunnel.access().listen()},
                   {"protocol", tunnel.access().protocol() == v1::PROTOCOL_TCP ? "tcp" : "http"},
                   {"overlay", tunnel.access().overlay()}});
  } else if (tunnel.has_frontend()) {
    values.insert(values.end(), {{"zone", tunnel.frontend().zone()},
                                 {"listen", tunnel.frontend().listen()},
                                 {"overlay", tunnel.frontend().overlay()}});
  }
  const auto http = http_details(tunnel);
  values.insert(values.end(), http.begin(), http.end());
  values.insert(values.end(),
                {{"labels", labels(tunnel)},
                 {"age", age(tunnel.create_time(), now)},
                 {"uid", tunnel.uid()},
                 {"connections", std::to_string(counters.connections()) + " (" +
                                     std::to_string(counters.open_connections()) + " open)"},
                 {"requests", std::to_string(counters.requests()) + " (" +
                                  std::to_string(counters.failures()) + " failed)"},
                 {"refused", refused_details(counters)},
                 {"bytes", std::to_string(counters.bytes_in()) + " in, " +
                               std::to_string(counters.bytes_out()) + " out"}});
  std::string out = fields(values);
  if (!status.hops().empty()) {
    std::vector<Row> rows{{"HOP", "STATE", "FOR", "LAST ERROR"}};
    for (const auto& hop : status.hops()) {
      rows.push_back({hop.name(), state_of(hop), age(hop.since(), now), hop.last_error()});
    }
    out += "\n" + table(rows);
  }
  return out;
}

std::string hop_not_ready(const v1::Tunnel& tunnel) {
  for (const auto& hop : tunnel.status().hops()) {
    if (hop.state() != v1::TunnelStatus::Hop::STATE_UP) {
      return hop.name();
    }
  }
  return {};
}

std::string to_json(const Trouble& trouble) {
  nlohmann::json error = {{"code", code_name(trouble)},
                          {"exit_code", static_cast<int>(trouble.exit)},
                          {"message", trouble.what}};
  if (!trouble.hop.empty()) {
    error["hop"] = trouble.hop;
  }
  if (!trouble.next.empty()) {
    error["advice"] = trouble.next;
  }
  const nlohmann::json object = {{"error", std::move(error)}};
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string why_not_ready(const v1::Tunnel& tunnel) {
  std::string out;
  for (const auto& hop : tunnel.status().hops()) {
    if (hop.state() != v1::TunnelStatus::Hop::STATE_UP) {
      out += (out.empty() ? "" : "; ") + hop.name() + ": " + state_of(hop) +
             (hop.last_error().empty() ? "" : ": " + hop.last_error());
    }
  }
  if (!tunnel.status().message().empty()) {
    return out.empty() ? tunnel.status().message() : tunnel.status().message() + " (" + out + ")";
  }
  return out.empty() ? phase_of(tunnel) : out;
}

}  // namespace simplon::ctl
