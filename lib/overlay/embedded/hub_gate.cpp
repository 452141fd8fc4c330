#include "overlay/embedded/hub_gate.hpp"

#include <cstring>
#include <utility>

#include <netinet/in.h>

namespace simplon::overlay {
namespace {

// Sources whose last log line is remembered; beyond, the oldest knowledge goes.
constexpr std::size_t kMaxLogged = 1024;
constexpr std::size_t kNetworkBytes = 8;  // an IPv6 /64: one site has all of its addresses

}  // namespace

std::string HubGate::source_of(const net::SocketAddress& address) {
  std::string ip = address.ip();
  if (address.family() != AF_INET6 || ip.find(':') == std::string::npos) {
    return ip;
  }
  sockaddr_in6 parts{};
  std::memcpy(&parts, address.data(), sizeof parts);
  std::memset(parts.sin6_addr.s6_addr + kNetworkBytes, 0,
              sizeof parts.sin6_addr.s6_addr - kNetworkBytes);
  parts.sin6_scope_id = 0;
  return net::SocketAddress(reinterpret_cast<const sockaddr*>(&parts), sizeof parts).ip() + "/64";
}

HubGate::Slot& HubGate::Slot::operator=(Slot&& other) noexcept {
  if (this != &other) {
    release();
    gate_ = std::move(other.gate_);
    source_ = std::move(other.source_);
  }
  return *this;
}

void HubGate::Slot::release() {
  const auto gate = std::exchange(gate_, nullptr);
  if (!gate) {
    return;
  }
  --gate->strangers_;
  const auto at = gate->by_source_.find(source_);
  if (at != gate->by_source_.end() && --at->second == 0) {
    gate->by_source_.erase(at);
  }
}

std::optional<HubGate::Slot> HubGate::admit(const std::string& source) {
  if (strangers_ >= kMaxStrangers) {
    return std::nullopt;
  }
  const auto at = by_source_.try_emplace(source, 0).first;
  if (at->second >= kMaxStrangersOfSource) {
    return std::nullopt;
  }
  ++at->second;
  ++strangers_;
  return Slot(shared_from_this(), source);
}

std::uint64_t HubGate::refused(const std::string& source, net::TimePoint now) {
  ++refusals_;
  auto at = logs_.find(source);
  if (at == logs_.end()) {
    // Not at every refusal: a flood must not make each one cost a walk.
    if (logs_.size() >= kMaxLogged && now - swept_ >= kRefusalLogInterval) {
      swept_ = now;
      std::erase_if(
          logs_, [&](const auto& one) { return now - one.second.logged >= kRefusalLogInterval; });
    }
    if (logs_.size() >= kMaxLogged) {
      return 0;  // a flood from many sources does not become a flood of lines
    }
    logs_.emplace(source, Refusals{.logged = now});
    return 1;
  }
  ++at->second.since;
  if (now - at->second.logged < kRefusalLogInterval) {
    return 0;
  }
  at->second.logged = now;
  return std::exchange(at->second.since, 0);
}

void HubGate::start_interval(net::TimePoint now) {
  if (now - interval_ >= kFailureInterval) {
    interval_ = now;
    failures_ = 0;
    failures_by_source_.clear();
  }
}

bool HubGate::may_enroll(const std::string& source, net::TimePoint now) {
  start_interval(now);
  const auto at = failures_by_source_.find(source);
  return failures_ < kMaxFailures &&
         (at == failures_by_source_.end() || at->second < kMaxFailuresOfSource);
}

void HubGate::enrollment_failed(const std::string& source, net::TimePoint now) {
  start_interval(now);
  if (failures_ < kMaxFailures) {
    ++failures_;
    ++failures_by_source_[source];
  }
}

}  // namespace simplon::overlay
