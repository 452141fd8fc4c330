// What strangers may cost the hub: connections that have not proven who they are, and failed
// enrollments, each bounded in total and for one source.
//
// A source is an IPv4 address or an IPv6 /64. Memory is bounded whatever connects.
// Ownership: shared with the slots that it gave. Threads: the control loop.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "net/endpoint.hpp"
#include "net/loop.hpp"

namespace simplon::overlay {

/// Connections between accept and the end of the handshake (or of the enrollment, or the ticket).
/// Each may cost about 200 KiB.
inline constexpr std::size_t kMaxStrangers = 128;
/// Of one source: members behind one NAT reconnect together.
inline constexpr std::size_t kMaxStrangersOfSource = 48;

/// Failed enrollments in one interval: a secret cannot be guessed, this bounds the work.
inline constexpr std::chrono::seconds kFailureInterval{60};
inline constexpr std::size_t kMaxFailures = 600;
inline constexpr std::size_t kMaxFailuresOfSource = 10;

/// A source's refusals make one log line in this time.
inline constexpr std::chrono::seconds kRefusalLogInterval{60};

class HubGate : public std::enable_shared_from_this<HubGate> {
 public:
  /// One admitted connection; destroying it makes room.
  class Slot {
   public:
    Slot() = default;
    Slot(Slot&& other) noexcept = default;
    Slot& operator=(Slot&& other) noexcept;
    ~Slot() { release(); }
    void release();

   private:
    friend class HubGate;
    Slot(std::shared_ptr<HubGate> gate, std::string source)
        : gate_(std::move(gate)), source_(std::move(source)) {}
    std::shared_ptr<HubGate> gate_;
    std::string source_;
  };

  static std::string source_of(const net::SocketAddress& address);

  /// Nothing: over a limit.
  std::optional<Slot> admit(const std::string& source);
  std::size_t strangers() const { return strangers_; }

  /// Counts a refusal; how many refusals of this source a log line should tell of now, or 0.
  std::uint64_t refused(const std::string& source, net::TimePoint now);
  std::uint64_t refusals() const { return refusals_; }

  bool may_enroll(const std::string& source, net::TimePoint now);
  void enrollment_failed(const std::string& source, net::TimePoint now);

 private:
  struct Refusals {
    net::TimePoint logged{};
    std::uint64_t since = 0;
  };

  void start_interval(net::TimePoint now);

  std::size_t strangers_ = 0;
  std::map<std::string, std::size_t> by_source_;  // at most kMaxStrangers

  std::uint64_t refusals_ = 0;
  std::map<std::string, Refusals> logs_;  // bounded by kMaxLogged in hub_gate.cpp
  net::TimePoint swept_{};

  net::TimePoint interval_{};
  std::size_t failures_ = 0;
  std::map<std::string, std::size_t> failures_by_source_;  // at most kMaxFailures
};

}  // namespace simplon::overlay
