#include "ctl/test/tool.hpp"

#include <csignal>
#include <exception>
#include <memory>

#include <boost/asio/signal_set.hpp>

#include "base/log.hpp"

namespace simplon::ctl {
namespace {

net::awaitable<void> run(net::Loop& loop, net::awaitable<Outcome> tool,
                         std::shared_ptr<Outcome> outcome) {
  try {
    *outcome = co_await std::move(tool);
  } catch (const std::exception& error) {
    *outcome = trouble(Exit::failed, std::string("internal error: ") + error.what(),
                       "this is a defect of simplonctl; please report it");
  }
  loop.stop();
}

}  // namespace

Outcome run_tool(const std::function<net::awaitable<Outcome>(net::Loop&)>& tool,
                 std::string_view log_level) {
  base::set_log_level(log_level);
  const auto outcome = std::make_shared<Outcome>();
  net::Loop loop;
  boost::asio::signal_set signals(loop.context(), SIGINT, SIGTERM, SIGHUP);
  signals.async_wait([&loop](const auto& error, int) {
    if (!error) {
      loop.stop();
    }
  });
  net::spawn(loop, "test tool", run(loop, tool(loop), outcome));
  loop.run();
  return *outcome;
}

}  // namespace simplon::ctl
