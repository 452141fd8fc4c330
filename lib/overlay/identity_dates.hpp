// From when until when an identity's certificate is valid, and what a person is told of that.
//
// Pure functions; any thread.
#pragma once

#include <chrono>
#include <string>

#include "overlay/check.hpp"

namespace simplon::overlay {

/// Before a certificate ends, a person is told.
inline constexpr std::chrono::days kCertificateWarning{30};

struct IdentityDates {
  std::string subject;
  std::chrono::system_clock::time_point not_before;
  std::chrono::system_clock::time_point not_after;
};

/// The step "identity".
CheckStep check_dates(const IdentityDates& dates, std::chrono::system_clock::time_point now);

/// "2027-03-01 12:00 UTC".
std::string utc(std::chrono::system_clock::time_point time);

}  // namespace simplon::overlay
