#include "tunnel/spec_check.hpp"

#include <algorithm>
#include <utility>

#include "base/printable.hpp"
#include "http/header_rules.hpp"
#include "http/text.hpp"
#include "net/address_range.hpp"

namespace simplon::tunnel {
namespace {

constexpr std::size_t kMaxHeaderNameBytes = 256;

// What has no meaning where bytes pass untouched.
absl::Status of_http_only(std::string_view field, std::string_view raw) {
  return wrong(field, std::string("means nothing for ")
                          .append(raw)
                          .append(", whose bytes pass untouched; leave it out"));
}

// `raw`: empty, or what it is that sees no HTTP.
absl::Status check_timeouts(const std::string& field, const Timeouts& timeouts,
                            std::string_view raw) {
  for (const TimeoutField& each : kTimeoutFields) {
    const auto& chosen = timeouts.*each.chosen;
    if (!chosen) {
      continue;
    }
    const std::string name = field + ".timeouts." + std::string(each.name);
    if (!raw.empty() && !each.of_raw_bytes) {
      return of_http_only(name, raw);
    }
    if (chosen->count() == 0) {
      if (!each.may_be_unlimited) {
        return wrong(name, "cannot be unlimited");
      }
    } else if (*chosen < kMinTimeout || *chosen > kMaxTimeout) {
      return wrong(name, "is not between 100 ms and 365 days");
    }
  }
  return absl::OkStatus();
}

absl::Status check_limits(const std::string& field, const Limits& limits, std::string_view raw) {
  for (const LimitField& each : kLimitFields) {
    const std::uint64_t chosen = limits.*each.chosen;
    const std::string name = field + ".limits." + std::string(each.name);
    if (chosen == 0) {
      continue;
    }
    if (!raw.empty() && !each.of_raw_bytes) {
      return of_http_only(name, raw);
    }
    if (chosen < each.least || chosen > each.most) {
      return wrong(name, "is not between " + std::to_string(each.least) + " and " +
                             std::to_string(each.most));
    }
  }
  if (limits.target_bytes > used(limits).head_bytes) {
    return wrong(field + ".limits.target_bytes", "is more than head_bytes, of which it is a part");
  }
  return absl::OkStatus();
}

absl::Status check_settings(const std::string& field, const HttpSettings& http,
                            std::string_view raw) {
  if (auto status = check_timeouts(field, http.timeouts, raw); !status.ok()) {
    return status;
  }
  if (auto status = check_limits(field, http.limits, raw); !status.ok()) {
    return status;
  }
  return raw.empty() || http.via ? absl::OkStatus() : of_http_only(field + ".via", raw);
}

absl::Status check_host_header(std::string_view host) {
  const auto of_host = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view(".-_:[]").find(c) != std::string_view::npos;
  };
  return host.size() <= 255 && std::ranges::all_of(host, of_host)
             ? absl::OkStatus()
             : wrong("share.host_header", quoted(host) + "is not a Host header's value");
}

absl::Status check_header_name(const std::string& field, std::string_view name) {
  if (!http::is_token(name) || name.size() > kMaxHeaderNameBytes) {
    return wrong(field, quoted(name) + "is not the name of a header field");
  }
  if (const auto why = http::why_fixed(name)) {
    return wrong(field, quoted(name) + "cannot be changed: it " + std::string(*why));
  }
  return absl::OkStatus();
}

bool is_control(unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; }

absl::Status check_rules(const std::string& field, std::vector<http::HeaderRule>& rules) {
  if (rules.size() > kMaxHeaderRules) {
    return wrong(field, "has more than 64 rules");
  }
  for (std::size_t at = 0; at < rules.size(); ++at) {
    http::HeaderRule& rule = rules[at];
    const std::string name = field + "[" + std::to_string(at) + "]";
    if (auto status = check_header_name(name + ".name", rule.name); !status.ok()) {
      return status;
    }
    if (rule.value.size() > kMaxHeaderValueBytes) {
      return wrong(name + ".value", "is longer than 8192 bytes");
    }
    // RFC 9110 §5.5: what is no field-content. Servers drop such a field or refuse the message.
    if (const auto control = std::ranges::find_if(rule.value, is_control);
        control != rule.value.end()) {
      return wrong(name + ".value",
                   "contains a control character, the byte " +
                       std::to_string(static_cast<unsigned char>(*control)) +
                       "; visible characters, spaces and tabs are what a field can have");
    }
    if (rule.action == http::HeaderRule::Action::remove && !rule.value.empty()) {
      return wrong(name + ".value", "must be empty where the field is removed");
    }
    rule.value = http::trim(rule.value);
  }
  return absl::OkStatus();
}

absl::Status check_trusted(const std::string& field, std::vector<std::string>& proxies) {
  if (proxies.size() > kMaxTrustedProxies) {
    return wrong(field, "are more than 64");
  }
  for (std::size_t at = 0; at < proxies.size(); ++at) {
    const std::string name = field + "[" + std::to_string(at) + "]";
    if (proxies[at] == kNobody) {
      if (proxies.size() > 1) {
        return wrong(name, "\"none\" stands alone");
      }
      continue;
    }
    const auto range = net::AddressRange::parse(proxies[at]);
    if (!range) {
      return wrong(name, quoted(proxies[at]) +
                             "is neither an address nor a block of them, such as \"10.0.0.0/8\"");
    }
    proxies[at] = range->text();
  }
  return absl::OkStatus();
}

// Empty where HTTP/1.1 may be spoken. To a tcp:// target it is, whenever the stream comes from an
// access or a frontend that speaks it.
std::string_view raw_name(const Target& target) {
  return target.scheme == Target::Scheme::h2c ? "an h2c:// target" : std::string_view();
}

}  // namespace

absl::Status wrong(std::string_view field, std::string_view why) {
  return absl::InvalidArgumentError(std::string(field).append(": ").append(why));
}

std::string quoted(std::string_view text) { return "\"" + base::printable(text, 200) + "\" "; }

absl::Status check_http(Share& share, const Target& target) {
  if (const auto raw = raw_name(target); !raw.empty()) {
    for (const auto& [field, chosen] :
         {std::pair<std::string_view, bool>{"share.host_header", !share.host_header.empty()},
          {"share.rewrite_references", share.rewrite_references},
          {"share.request_headers", !share.request_headers.empty()},
          {"share.response_headers", !share.response_headers.empty()},
          {"share.peer_header", !share.peer_header.empty()}}) {
      if (chosen) {
        return of_http_only(field, raw);
      }
    }
    return check_settings("share.http", share.http, raw);
  }
  if (auto status = check_host_header(share.host_header); !status.ok()) {
    return status;
  }
  if (share.rewrite_references && share.host_header.empty()) {
    return wrong("share.rewrite_references", "follows host_header, which is missing");
  }
  if (auto status = check_rules("share.request_headers", share.request_headers); !status.ok()) {
    return status;
  }
  if (auto status = check_rules("share.response_headers", share.response_headers); !status.ok()) {
    return status;
  }
  if (!share.peer_header.empty()) {
    if (auto status = check_header_name("share.peer_header", share.peer_header); !status.ok()) {
      return status;
    }
  }
  return check_settings("share.http", share.http, {});
}

absl::Status check_http(Access& access) {
  const std::string_view raw =
      access.protocol == Protocol::tcp ? "an access of raw bytes" : std::string_view();
  if (!raw.empty() && !access.trusted_proxies.empty()) {
    return of_http_only("access.trusted_proxies", raw);
  }
  if (auto status = check_trusted("access.trusted_proxies", access.trusted_proxies); !status.ok()) {
    return status;
  }
  return check_settings("access.http", access.http, raw);
}

absl::Status check_http(Frontend& frontend) {
  if (auto status = check_trusted("frontend.trusted_proxies", frontend.trusted_proxies);
      !status.ok()) {
    return status;
  }
  return check_settings("frontend.http", frontend.http, {});
}

}  // namespace simplon::tunnel
