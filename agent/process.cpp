#include "agent/process.hpp"

#include <cstdio>
#include <string>

#include <spdlog/details/log_msg.h>
#include <spdlog/sinks/sink.h>

#include "agent/daemon.hpp"
#include "agent/notify.hpp"
#include "agent/signals.hpp"
#include "base/log.hpp"

namespace simplon::agent {
namespace {

/// Between two looks for a second signal while connections drain.
constexpr std::chrono::milliseconds kSignalLook{20};

// Whatever the log's level: people and scripts wait for this line.
void say_ready(const Options& options, const std::string& line) {
  if (options.log_format == base::LogFormat::text) {
    std::fprintf(stderr, "%s\n", line.c_str());
    return;
  }
  const spdlog::details::log_msg message("simplon", spdlog::level::info, line);
  for (const auto& sink : base::log().sinks()) {
    sink->log(message);
    sink->flush();
  }
}

// Ends when the connections did, their time is over, or a second signal says that it is enough.
void drain(Daemon& daemon, const Options& options, Signals& signals) {
  base::log().info("draining: running connections get {} s; signal again to cut them",
                   options.drain.count());
  auto drained = daemon.drain(options.drain);
  while (drained.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
    if (signals.wait_for(kSignalLook)) {
      base::log().warn("signalled again: running connections are cut");
      daemon.drain(std::chrono::milliseconds(0)).wait();
      return;
    }
  }
}

}  // namespace

int run(const Options& options) {
  Signals signals;
  base::init_log(options.log_format, spdlog::level::info);
  base::set_log_level(options.log_level);
  auto daemon = Daemon::start(options);
  if (!daemon.ok()) {
    std::fprintf(stderr, "simplon-agent: %s\n", std::string(daemon.status().message()).c_str());
    return 1;
  }
  say_ready(options, (*daemon)->ready_line());
  notify_systemd("READY=1");
  signals.wait();
  notify_systemd("STOPPING=1");
  drain(**daemon, options, signals);
  daemon->reset();
  base::log().info("stopped");
  return 0;
}

}  // namespace simplon::agent
