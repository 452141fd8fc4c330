#include "ctl/http_options.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <CLI/CLI.hpp>
#include <google/protobuf/duration.pb.h>

#include "ctl/text.hpp"

namespace simplon::ctl {
namespace {

using google::protobuf::Duration;
using google::protobuf::FieldDescriptor;

constexpr char kGroup[] = "HTTP";

struct TimeoutOption {
  const char* option;
  const char* field;
  const char* help;
  const char* of_share = nullptr;  // what to say there, if not the same
};
constexpr std::array<TimeoutOption, 7> kTimeouts{{
    {"--timeout-head", "head", "First byte to end of a request's head; default 60s"},
    {"--timeout-idle", "idle", "A kept-alive connection without a request; default 120s"},
    {"--timeout-connect", "connect", "Reaching the agent that hosts the service; default 15s",
     "Reaching the target; default 5s"},
    {"--timeout-first-byte", "first_byte", "Request sent to response's head; default none"},
    {"--timeout-body", "body",
     "Least rate of a request's body: 1 KiB, or the rest, in so long; default 120s"},
    {"--timeout-websocket-idle", "websocket_idle", "A quiet websocket; default none"},
    {"--timeout-half-closed", "half_closed",
     "A client that ended its side, and a silent other side; default 3s"},
}};

struct LimitOption {
  const char* option;
  const char* field;
  const char* type;
  const char* help;
  const char* of_share = nullptr;
};
constexpr std::array<LimitOption, 6> kLimits{{
    {"--max-head-bytes", "head_bytes", "SIZE", "A head in bytes; default and most 64KiB"},
    {"--max-header-fields", "header_fields", "N", "Fields of a head; default 128"},
    {"--max-target-bytes", "target_bytes", "SIZE", "A request's target; default 16KiB"},
    {"--max-body", "request_body_bytes", "SIZE", "A request's body; default unlimited"},
    {"--max-connections", "connections", "N",
     "Connections at the same time; default and most 16384"},
    {"--max-connections-per-client", "connections_per_client", "N",
     "Of one client address; default 1024, on this host unlimited",
     "Of one agent; default three quarters of --max-connections"},
}};

Outcome put_rules(const std::string& option, const std::vector<std::string>& typed,
                  google::protobuf::RepeatedPtrField<v1::HeaderRule>& to) {
  for (const std::string& each : typed) {
    auto rule = parse_header_rule(each);
    if (!rule) {
      return trouble(Exit::usage, option + ": " + rule.error());
    }
    v1::HeaderRule& out = *to.Add();
    switch (rule->action) {
      case '+':
        out.set_action(v1::HeaderRule::ACTION_ADD);
        break;
      case '-':
        out.set_action(v1::HeaderRule::ACTION_REMOVE);
        break;
      default:
        out.set_action(v1::HeaderRule::ACTION_SET);
        break;
    }
    out.set_name(rule->name);
    out.set_value(rule->value);
  }
  return {};
}

}  // namespace

void HttpOptions::add_to(CLI::App& command, bool share) {
  const auto help = [share](const auto& each) {
    return share && each.of_share != nullptr ? each.of_share : each.help;
  };
  for (const TimeoutOption& each : kTimeouts) {
    command.add_option(each.option, timeouts_[each.field], help(each))
        ->type_name("DURATION")
        ->group(kGroup);
  }
  for (const LimitOption& each : kLimits) {
    command.add_option(each.option, limits_[each.field], help(each))
        ->type_name(each.type)
        ->group(kGroup);
  }
  command.add_flag("--no-via", no_via_, "Write no Via into requests, and see no loops")
      ->group(kGroup);
}

Outcome HttpOptions::fill_settings(v1::HttpSettings& to) const {
  for (const TimeoutOption& each : kTimeouts) {
    const std::string& typed = timeouts_.at(each.field);
    if (typed.empty()) {
      continue;
    }
    const auto limit = typed == "none" ? std::chrono::milliseconds(0) : parse_duration(typed);
    if (!limit) {
      return trouble(Exit::usage, std::string(each.option) + ": " + limit.error() + ", or none");
    }
    if (limit->count() == 0 && typed != "none") {
      return trouble(Exit::usage,
                     std::string(each.option) + ": write none where there is to be no limit");
    }
    const auto* field = v1::Timeouts::descriptor()->FindFieldByName(each.field);
    auto& duration = static_cast<Duration&>(
        *v1::Timeouts::GetReflection()->MutableMessage(to.mutable_timeouts(), field));
    duration.set_seconds(limit->count() / 1000);
    duration.set_nanos(static_cast<std::int32_t>(limit->count() % 1000) * 1'000'000);
  }
  for (const LimitOption& each : kLimits) {
    const std::string& typed = limits_.at(each.field);
    if (typed.empty()) {
      continue;
    }
    const auto size = parse_size(typed, std::string_view(each.type) == "SIZE");
    if (!size) {
      return trouble(Exit::usage, std::string(each.option) + ": " + size.error());
    }
    const auto* field = v1::Limits::descriptor()->FindFieldByName(each.field);
    const auto* reflection = v1::Limits::GetReflection();
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_UINT64) {
      reflection->SetUInt64(to.mutable_limits(), field, *size);
    } else if (*size <= UINT32_MAX) {
      reflection->SetUInt32(to.mutable_limits(), field, static_cast<std::uint32_t>(*size));
    } else {
      return trouble(Exit::usage, std::string(each.option) + ": " + typed + " is too much");
    }
  }
  if (no_via_) {
    to.set_via(v1::VIA_OFF);
  }
  return {};
}

void HeaderOptions::add_to(CLI::App& command) {
  command
      .add_option("--host-header", host_header_,
                  "Host header for the target; default: the client's")
      ->type_name("HOST")
      ->group(kGroup);
  command
      .add_flag("--rewrite-references", rewrite_references_,
                "Let Origin, Referer, Location and cookie domains follow --host-header")
      ->group(kGroup);
  command
      .add_option("--request-header", request_headers_,
                  "Change requests: 'NAME: VALUE' sets, '+NAME: VALUE' adds, '-NAME' removes")
      ->type_name("RULE")
      ->allow_extra_args(false)
      ->group(kGroup);
  command.add_option("--response-header", response_headers_, "Change responses, likewise")
      ->type_name("RULE")
      ->allow_extra_args(false)
      ->group(kGroup);
  command
      .add_option("--peer-header", peer_header_,
                  "Field that tells the target which agent opened the stream")
      ->type_name("NAME")
      ->group(kGroup);
}

Outcome HeaderOptions::fill(v1::Share& to) const {
  to.set_host_header(host_header_);
  to.set_rewrite_references(rewrite_references_);
  to.set_peer_header(peer_header_);
  if (auto put = put_rules("--request-header", request_headers_, *to.mutable_request_headers());
      !put) {
    return put;
  }
  return put_rules("--response-header", response_headers_, *to.mutable_response_headers());
}

void add_trust_proxy(CLI::App& command, std::vector<std::string>& proxies, bool frontend) {
  command
      .add_option("--trust-proxy", proxies,
                  std::string("Clients whose forwarding headers count: an address or a block such "
                              "as 10.0.0.0/8; repeatable; ") +
                      (frontend ? "default: nobody" : "none for nobody; default: the loopback"))
      ->type_name("CIDR")
      ->allow_extra_args(false)
      ->group(kGroup);
}

std::string option_for(std::string_view agents_words) {
  const std::string_view path = agents_words.substr(0, agents_words.find(": "));
  // Behind the kind of tunnel.
  const std::string_view field = path.substr(std::min(path.size(), path.find('.') + 1));
  for (const TimeoutOption& each : kTimeouts) {
    if (field == std::string("http.timeouts.") + each.field) {
      return each.option;
    }
  }
  for (const LimitOption& each : kLimits) {
    if (field == std::string("http.limits.") + each.field) {
      return each.option;
    }
  }
  // Of a list's field the place in it follows.
  const std::string_view name = field.substr(0, field.find('['));
  constexpr std::array<std::pair<std::string_view, const char*>, 9> kOthers{{
      {"host_header", "--host-header"},
      {"rewrite_references", "--rewrite-references"},
      {"request_headers", "--request-header"},
      {"response_headers", "--response-header"},
      {"peer_header", "--peer-header"},
      {"trusted_proxies", "--trust-proxy"},
      {"ziti", "--ziti-cost, --ziti-precedence"},
      {"ziti.cost", "--ziti-cost"},
      {"ziti.precedence", "--ziti-precedence"},
  }};
  for (const auto& [of, option] : kOthers) {
    if (name == of) {
      return option;
    }
  }
  return {};
}

}  // namespace simplon::ctl
