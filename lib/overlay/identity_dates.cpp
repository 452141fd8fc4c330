#include "overlay/identity_dates.hpp"

#include <absl/strings/str_cat.h>
#include <absl/time/time.h>

namespace simplon::overlay {

using std::chrono::system_clock;

std::string utc(system_clock::time_point time) {
  return absl::FormatTime("%Y-%m-%d %H:%M UTC", absl::FromChrono(time), absl::UTCTimeZone());
}

CheckStep check_dates(const IdentityDates& dates, system_clock::time_point now) {
  CheckStep step{.hop = "identity",
                 .latency = {},
                 .message = absl::StrCat("certificate of ", dates.subject, ", valid until ",
                                         utc(dates.not_after)),
                 .advice = {},
                 .connection_id = {}};
  if (now < dates.not_before) {
    step.state = CheckStep::State::failed;
    step.message = absl::StrCat("the certificate of ", dates.subject, " is valid from ",
                                utc(dates.not_before), " on only");
    step.advice = absl::StrCat("this host's clock says ", utc(now), ": is that right?");
  } else if (now >= dates.not_after) {
    step.state = CheckStep::State::failed;
    step.message =
        absl::StrCat("the certificate of ", dates.subject, " ended at ", utc(dates.not_after));
    step.advice = absl::StrCat("this host's clock says ", utc(now),
                               "; if that is right, enroll again with a new token");
  } else if (dates.not_after - now < kCertificateWarning) {
    step.state = CheckStep::State::warned;
    step.advice = "enroll again with a new token before it ends";
  }
  return step;
}

}  // namespace simplon::overlay
