#include "ctl/test/steps.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "base/error.hpp"

namespace simplon::ctl {
namespace {

constexpr std::size_t kMostShown = 200;
constexpr std::size_t kStepWidth = 9;  // "handshake"

}  // namespace

Steps::Steps(net::Loop& loop, std::ostream& out, bool quiet)
    : loop_(loop), out_(out), quiet_(quiet), start_(loop.now()) {}

double Steps::elapsed() const {
  return std::chrono::duration<double>(loop_.now() - start_).count();
}

void Steps::say(std::string detail) {
  std::string padded = current_;
  padded.resize(std::max(padded.size(), kStepWidth), ' ');
  print(padded + "  " + detail);
  lines_.push_back({elapsed(), current_, std::move(detail)});
}

void Steps::print(const std::string& text) {
  if (!quiet_) {
    std::array<char, 32> time{};
    std::snprintf(time.data(), time.size(), "[%8.3f]  ", elapsed());
    out_ << time.data() << text << std::endl;
  }
}

std::unexpected<Trouble> Steps::failed(std::string why, std::string next) const {
  return std::unexpected(
      Trouble{.what = current_ + ": " + why, .next = std::move(next), .hop = current_});
}

std::unexpected<Trouble> Steps::failed(std::error_code error, std::chrono::milliseconds limit,
                                       std::string next) const {
  return failed(
      error == base::Errc::timed_out ? "timed out after " + shown(limit) : error.message(),
      std::move(next));
}

std::string shown(std::string_view text) {
  std::string out = "\"";
  for (const char c : text.substr(0, kMostShown)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      std::array<char, 8> escaped{};
      std::snprintf(escaped.data(), escaped.size(), "\\x%02x", static_cast<unsigned>(byte));
      out += escaped.data();
    } else {
      out += c;
    }
  }
  return out + (text.size() > kMostShown ? "\"…" : "\"");
}

std::string shown(std::chrono::milliseconds time) {
  return time.count() % 1000 == 0 ? std::to_string(time.count() / 1000) + " s"
                                  : std::to_string(time.count()) + " ms";
}

}  // namespace simplon::ctl
