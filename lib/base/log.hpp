// The process's log: one line an event, to standard error, as text or JSON.
//
// Any thread. Lines of one connection carry its id (see base/ids.hpp), the same id in both agents.
#pragma once

#include <string_view>

#include <spdlog/logger.h>

namespace simplon::base {

enum class LogFormat { text, json };

/// The logger; before init_log it writes text at level info.
spdlog::logger& log();

/// Call once in main.
void init_log(LogFormat format, spdlog::level::level_enum level);

/// "trace", "debug", "info", "warn", "error", "off"; false if `name` is none of them. At any time.
bool set_log_level(std::string_view name);
std::string_view log_level();

}  // namespace simplon::base
