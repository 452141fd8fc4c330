#include "http/http2_preface.hpp"

#include <algorithm>
#include <cstdint>

#include "http/error_response.hpp"

namespace simplon::http {
namespace {

using base::Errc;

constexpr std::size_t kMostDebugData = 1024;  // a frame of every peer may hold 16 KiB

// RFC 9113 §4.1, §6.5, §6.8, §7
constexpr char kSettings = 0x4;
constexpr char kGoaway = 0x7;
constexpr std::uint32_t kNoError = 0x0;
constexpr std::uint32_t kInternalError = 0x2;
constexpr std::uint32_t kHttp11Required = 0xd;

void append_number(std::string& out, std::uint32_t value, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    out += static_cast<char>(value >> static_cast<unsigned>(shift) & 0xffU);
  }
}

// A frame of stream 0, without flags.
void append_frame_head(std::string& out, std::size_t length, char type) {
  append_number(out, static_cast<std::uint32_t>(length), 3);
  out += type;
  out += '\0';
  append_number(out, 0, 4);
}

std::uint32_t code_of(const std::error_code& code) {
  return code == Errc::other_version ? kHttp11Required
         : code == Errc::draining    ? kNoError
                                     : kInternalError;
}

}  // namespace

Preface match_preface(std::string_view bytes) noexcept {
  const std::string_view start = bytes.substr(0, kHttp2Preface.size());
  if (!kHttp2Preface.starts_with(start)) {
    return Preface::none;
  }
  return start.size() == kHttp2Preface.size() ? Preface::whole : Preface::partial;
}

std::string http2_refusal(const base::Failure& failure) {
  std::string debug = "Simplon-Error: hop=";
  debug.append(base::to_string(failure.hop)).append("; reason=").append(reason_of(failure.code));
  debug.append("; ").append(failure.message());
  debug.resize(std::min(debug.size(), kMostDebugData));
  std::string out;
  append_frame_head(out, 0, kSettings);
  append_frame_head(out, 8 + debug.size(), kGoaway);
  append_number(out, 0, 4);  // the last stream that was processed: none
  append_number(out, code_of(failure.code), 4);
  return out + debug;
}

}  // namespace simplon::http
