#include "ctl/http_details.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>

#include <google/protobuf/duration.pb.h>

#include "base/printable.hpp"
#include "ctl/text.hpp"

namespace simplon::ctl {
namespace {

using Details = std::vector<std::pair<std::string, std::string>>;
using google::protobuf::Duration;
using google::protobuf::FieldDescriptor;

// A field's name, spelled like an option.
std::string name_of(const FieldDescriptor& field) {
  std::string out = field.name();
  std::ranges::replace(out, '_', '-');
  return out;
}

void append(std::string& list, const std::string& item) {
  list.append(list.empty() ? "" : ", ").append(item);
}

std::string timeouts(const v1::Timeouts& from) {
  std::string out;
  const auto* descriptor = v1::Timeouts::descriptor();
  const auto* reflection = v1::Timeouts::GetReflection();
  for (int at = 0; at < descriptor->field_count(); ++at) {
    const FieldDescriptor* field = descriptor->field(at);
    if (reflection->HasField(from, field)) {
      const auto& duration = static_cast<const Duration&>(reflection->GetMessage(from, field));
      append(out, name_of(*field) + " " +
                      duration_text(std::chrono::milliseconds(duration.seconds() * 1000 +
                                                              duration.nanos() / 1'000'000)));
    }
  }
  return out;
}

std::string limits(const v1::Limits& from) {
  std::string out;
  const auto* descriptor = v1::Limits::descriptor();
  const auto* reflection = v1::Limits::GetReflection();
  for (int at = 0; at < descriptor->field_count(); ++at) {
    const FieldDescriptor* field = descriptor->field(at);
    const std::uint64_t limit = field->cpp_type() == FieldDescriptor::CPPTYPE_UINT32
                                    ? reflection->GetUInt32(from, field)
                                    : reflection->GetUInt64(from, field);
    if (limit != 0) {
      const bool size = field->name().ends_with("_bytes");
      append(out, name_of(*field) + " " + (size ? size_text(limit) : std::to_string(limit)));
    }
  }
  return out;
}

void add_settings(Details& out, const v1::HttpSettings& http) {
  out.emplace_back("timeouts", timeouts(http.timeouts()));
  out.emplace_back("limits", limits(http.limits()));
  out.emplace_back("via", http.via() == v1::VIA_OFF ? "off" : "");
}

void add_rules(Details& out, const std::string& name,
               const google::protobuf::RepeatedPtrField<v1::HeaderRule>& rules) {
  for (const v1::HeaderRule& rule : rules) {
    const bool removes = rule.action() == v1::HeaderRule::ACTION_REMOVE;
    out.emplace_back(
        name, std::string(removes                                       ? "-"
                          : rule.action() == v1::HeaderRule::ACTION_ADD ? "+"
                                                                        : "") +
                  rule.name() +
                  (removes ? "" : ": " + base::printable(rule.value(), rule.value().size())));
  }
}

void add_trusted(Details& out, const google::protobuf::RepeatedPtrField<std::string>& proxies) {
  std::string list;
  for (const std::string& proxy : proxies) {
    append(list, proxy);
  }
  out.emplace_back("trusts", list);
}

}  // namespace

Details http_details(const v1::Tunnel& tunnel) {
  Details out;
  if (tunnel.has_share()) {
    const v1::Share& share = tunnel.share();
    out.emplace_back("host header",
                     share.host_header() + (share.rewrite_references() ? ", references too" : ""));
    add_rules(out, "request header", share.request_headers());
    add_rules(out, "response header", share.response_headers());
    out.emplace_back("peer header", share.peer_header());
    add_settings(out, share.http());
  } else if (tunnel.has_access()) {
    add_trusted(out, tunnel.access().trusted_proxies());
    add_settings(out, tunnel.access().http());
  } else if (tunnel.has_frontend()) {
    add_trusted(out, tunnel.frontend().trusted_proxies());
    add_settings(out, tunnel.frontend().http());
  }
  return out;
}

std::string refused_details(const v1::TunnelStatus::Counters& counters) {
  const std::map<std::uint32_t, std::uint64_t> sorted(counters.refused().begin(),
                                                      counters.refused().end());
  std::string out;
  for (const auto& [status, count] : sorted) {
    append(out, std::to_string(status) + ": " + std::to_string(count));
  }
  return out;
}

}  // namespace simplon::ctl
