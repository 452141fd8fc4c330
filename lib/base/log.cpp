#include "base/log.hpp"

#include <array>
#include <memory>
#include <string>
#include <utility>

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/sinks/stdout_sinks.h>

namespace simplon::base {
namespace {

constexpr std::array<std::pair<std::string_view, spdlog::level::level_enum>, 6> kLevels{{
    {"trace", spdlog::level::trace},
    {"debug", spdlog::level::debug},
    {"info", spdlog::level::info},
    {"warn", spdlog::level::warn},
    {"error", spdlog::level::err},
    {"off", spdlog::level::off},
}};

// %J: the message as the inside of a JSON string. What a peer sent must not break a log line.
class JsonMessage final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    constexpr std::string_view hex = "0123456789abcdef";
    for (const char raw : message.payload) {
      const auto c = static_cast<unsigned char>(raw);
      if (raw == '"' || raw == '\\') {
        out.push_back('\\');
        out.push_back(raw);
      } else if (c < 0x20) {
        for (const char piece : {'\\', 'u', '0', '0'}) {
          out.push_back(piece);
        }
        out.push_back(hex[c >> 4]);
        out.push_back(hex[c & 15]);
      } else {
        out.push_back(raw);
      }
    }
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<JsonMessage>();
  }
};

std::unique_ptr<spdlog::formatter> formatter(LogFormat format) {
  auto out = std::make_unique<spdlog::pattern_formatter>();
  if (format == LogFormat::json) {
    out->add_flag<JsonMessage>('J');
    out->set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l","message":"%J"})");
  } else {
    out->set_pattern("%Y-%m-%d %H:%M:%S.%e %^%-5l%$ %v");
  }
  return out;
}

std::shared_ptr<spdlog::logger> make() {
  auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
  sink->set_formatter(formatter(LogFormat::text));
  return std::make_shared<spdlog::logger>("simplon", std::move(sink));
}

}  // namespace

spdlog::logger& log() {
  static const std::shared_ptr<spdlog::logger> instance = make();
  return *instance;
}

void init_log(LogFormat format, spdlog::level::level_enum level) {
  log().sinks().front()->set_formatter(formatter(format));
  log().set_level(level);
  log().flush_on(spdlog::level::trace);
}

bool set_log_level(std::string_view name) {
  for (const auto& [text, level] : kLevels) {
    if (text == name) {
      log().set_level(level);
      return true;
    }
  }
  return false;
}

std::string_view log_level() {
  for (const auto& [text, level] : kLevels) {
    if (level == log().level()) {
      return text;
    }
  }
  return "off";
}

}  // namespace simplon::base
