#include "agent/process.hpp"

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "agent/api_server.hpp"
#include "agent/control_socket.hpp"
#include "agent/notify.hpp"
#include "agent/on_loop.hpp"
#include "agent/signals.hpp"
#include "agent/state_dir.hpp"
#include "base/log.hpp"
#include "net/loops.hpp"

namespace simplon::agent {
namespace {

/// For calls that are under way when the agent ends.
constexpr std::chrono::seconds kCallPatience{1};

int cannot_start(const absl::Status& status) {
  std::fprintf(stderr, "simplon-agent: %s\n", std::string(status.message()).c_str());
  return 1;
}

}  // namespace

int run(const Options& options) {
  Signals signals;
  base::init_log(options.log_format, spdlog::level::info);
  base::set_log_level(options.log_level);
  auto state = StateDir::open(options.paths.state_dir, options.agent_name);
  if (!state.ok()) {
    return cannot_start(state.status());
  }
  net::Loops control_thread(1);
  net::Loop& control = control_thread[0];
  auto socket =
      on_loop(control, [&] { return ControlSocket::open(control, options.paths.socket); });
  if (!socket.ok()) {
    return cannot_start(socket.status());
  }
  ApiServer server({});
  on_loop(control, [&] {
    (*socket)->start([&server](net::Fd client, Principal) { server.take(std::move(client)); });
  });
  notify_systemd("READY=1");
  signals.wait();
  notify_systemd("STOPPING=1");
  server.set_serving(false);
  on_loop(control, [&] { socket->reset(); });
  server.shut_down(kCallPatience);
  return 0;
}

}  // namespace simplon::agent
