#include "agent/http_message.hpp"

#include <chrono>
#include <cstdint>
#include <limits>

#include <google/protobuf/duration.pb.h>

namespace simplon::agent {
namespace {

using google::protobuf::Duration;
using google::protobuf::FieldDescriptor;
using std::chrono::milliseconds;

constexpr std::int32_t kNanosPerMillisecond = 1'000'000;

// The field of that name; the tables of lib/tunnel and the messages have the same ones.
template <class Message>
const FieldDescriptor* field_of(const std::string& name) {
  return Message::descriptor()->FindFieldByName(name);
}

absl::Status wrong(const std::string& field, std::string_view why) {
  return absl::InvalidArgumentError(field + ": " + std::string(why));
}

// Nothing for what is no whole number of milliseconds between 0 and what the type holds.
std::optional<milliseconds> read_duration(const Duration& from) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() / 1000 - 1;
  if (from.seconds() < 0 || from.seconds() > kMost || from.nanos() < 0 ||
      from.nanos() >= 1000 * kNanosPerMillisecond || from.nanos() % kNanosPerMillisecond != 0) {
    return std::nullopt;
  }
  return milliseconds(from.seconds() * 1000 + from.nanos() / kNanosPerMillisecond);
}

absl::Status read_timeouts(const v1::Timeouts& from, const std::string& field,
                           tunnel::Timeouts& to) {
  const auto* reflection = v1::Timeouts::GetReflection();
  for (const tunnel::TimeoutField& each : tunnel::kTimeoutFields) {
    const std::string name(each.name);
    const auto* at = field_of<v1::Timeouts>(name);
    if (!reflection->HasField(from, at)) {
      continue;
    }
    const auto& message = reflection->GetMessage(from, at);
    const auto duration = read_duration(static_cast<const Duration&>(message));
    if (!duration) {
      return wrong(std::string(field).append(".").append(name),
                   "is not zero or more whole milliseconds");
    }
    to.*each.chosen = duration;
  }
  return absl::OkStatus();
}

std::uint64_t number(const v1::Limits& from, const FieldDescriptor* at) {
  const auto* reflection = v1::Limits::GetReflection();
  return at->cpp_type() == FieldDescriptor::CPPTYPE_UINT32 ? reflection->GetUInt32(from, at)
                                                           : reflection->GetUInt64(from, at);
}

void set_number(v1::Limits& to, const FieldDescriptor* at, std::uint64_t value) {
  const auto* reflection = v1::Limits::GetReflection();
  if (at->cpp_type() == FieldDescriptor::CPPTYPE_UINT32) {
    reflection->SetUInt32(&to, at, static_cast<std::uint32_t>(value));
  } else {
    reflection->SetUInt64(&to, at, value);
  }
}

void write_duration(milliseconds from, Duration& to) {
  to.set_seconds(from.count() / 1000);
  to.set_nanos(static_cast<std::int32_t>(from.count() % 1000) * kNanosPerMillisecond);
}

}  // namespace

absl::Status read_http(const v1::HttpSettings& from, const std::string& field,
                       tunnel::HttpSettings& to) {
  if (auto status = read_timeouts(from.timeouts(), field + ".timeouts", to.timeouts);
      !status.ok()) {
    return status;
  }
  for (const tunnel::LimitField& each : tunnel::kLimitFields) {
    to.limits.*each.chosen = number(from.limits(), field_of<v1::Limits>(std::string(each.name)));
  }
  if (!v1::Via_IsValid(from.via())) {
    return wrong(field + ".via", "is neither unspecified nor off");
  }
  to.via = from.via() != v1::VIA_OFF;
  return absl::OkStatus();
}

absl::Status read_rules(const HeaderRules& from, const std::string& field,
                        std::vector<http::HeaderRule>& to) {
  using Action = http::HeaderRule::Action;
  if (static_cast<std::size_t>(from.size()) > tunnel::kMaxHeaderRules) {
    return wrong(field, "has more than 64 rules");
  }
  for (const v1::HeaderRule& rule : from) {
    http::HeaderRule& out = to.emplace_back();
    out.name = rule.name();
    out.value = rule.value();
    switch (rule.action()) {
      case v1::HeaderRule::ACTION_ADD:
        out.action = Action::add;
        break;
      case v1::HeaderRule::ACTION_SET:
        out.action = Action::set;
        break;
      case v1::HeaderRule::ACTION_REMOVE:
        out.action = Action::remove;
        break;
      default:
        return wrong(field + "[" + std::to_string(to.size() - 1) + "].action",
                     "is none of add, set and remove");
    }
  }
  return absl::OkStatus();
}

bool write_http(const tunnel::HttpSettings& from, v1::HttpSettings& to) {
  for (const tunnel::TimeoutField& each : tunnel::kTimeoutFields) {
    if (const auto& chosen = from.timeouts.*each.chosen) {
      auto* message = v1::Timeouts::GetReflection()->MutableMessage(
          to.mutable_timeouts(), field_of<v1::Timeouts>(std::string(each.name)));
      write_duration(*chosen, static_cast<Duration&>(*message));
    }
  }
  for (const tunnel::LimitField& each : tunnel::kLimitFields) {
    if (const std::uint64_t chosen = from.limits.*each.chosen; chosen != 0) {
      set_number(*to.mutable_limits(), field_of<v1::Limits>(std::string(each.name)), chosen);
    }
  }
  to.set_via(from.via ? v1::VIA_UNSPECIFIED : v1::VIA_OFF);
  return to.has_timeouts() || to.has_limits() || !from.via;
}

void write_rules(const std::vector<http::HeaderRule>& from, HeaderRules& to) {
  using Action = http::HeaderRule::Action;
  for (const http::HeaderRule& rule : from) {
    v1::HeaderRule& out = *to.Add();
    out.set_action(rule.action == Action::add   ? v1::HeaderRule::ACTION_ADD
                   : rule.action == Action::set ? v1::HeaderRule::ACTION_SET
                                                : v1::HeaderRule::ACTION_REMOVE);
    out.set_name(rule.name);
    out.set_value(rule.value);
  }
}

}  // namespace simplon::agent
