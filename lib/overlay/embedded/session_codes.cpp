#include "overlay/embedded/session_codes.hpp"

#include <algorithm>

namespace simplon::overlay {
namespace {

using base::Errc;

struct Row {
  std::uint32_t wire;
  Errc code;
};

// Numbers are never reused. PROTOCOL.md lists them for other implementations.
constexpr Row kReasons[] = {
    {1, Errc::cancelled},         {2, Errc::timed_out},       {3, Errc::protocol_error},
    {4, Errc::limit_exceeded},    {5, Errc::memory},          {6, Errc::no_such_service},
    {7, Errc::not_permitted},     {8, Errc::not_hosted},      {9, Errc::host_refused},
    {10, Errc::link_lost},        {11, Errc::target_refused}, {12, Errc::target_unreachable},
    {13, Errc::target_timed_out}, {14, Errc::draining},       {15, Errc::bad_request},
    {16, Errc::bad_response},     {17, Errc::truncated},      {18, Errc::internal},
};

}  // namespace

std::uint32_t to_wire(std::error_code reason) noexcept {
  if (reason.category() != base::category()) {
    return kNoReason;
  }
  const auto* row = std::ranges::find(kReasons, static_cast<Errc>(reason.value()), &Row::code);
  return row == std::end(kReasons) ? kNoReason : row->wire;
}

Errc from_wire(std::uint32_t code) noexcept {
  const auto* row = std::ranges::find(kReasons, code, &Row::wire);
  return row == std::end(kReasons) ? Errc::reset : row->code;
}

}  // namespace simplon::overlay
