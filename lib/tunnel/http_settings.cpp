#include "tunnel/http_settings.hpp"

#include <algorithm>

namespace simplon::tunnel {

http::Timeouts used(const Timeouts& chosen, const http::Timeouts& defaults) {
  http::Timeouts out = defaults;
  for (const TimeoutField& field : kTimeoutFields) {
    out.*field.used = (chosen.*field.chosen).value_or(defaults.*field.used);
  }
  return out;
}

http::Limits used(const Limits& chosen) {
  http::Limits out;
  if (chosen.head_bytes != 0) {
    out.head_bytes = chosen.head_bytes;
  }
  if (chosen.header_fields != 0) {
    out.fields = chosen.header_fields;
  }
  if (chosen.target_bytes != 0) {
    out.target_bytes = chosen.target_bytes;
  }
  out.target_bytes = std::min(out.target_bytes, out.head_bytes);
  if (chosen.request_body_bytes != 0) {
    out.body_bytes = chosen.request_body_bytes;
  }
  return out;
}

}  // namespace simplon::tunnel
