// A whole OpenZiti network for tests of the Network: a controller and edge routers behind TLS, on
// loopback, in one process. Owned by a test, on its loop.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "overlay/ziti/ziti_network.hpp"
#include "unit/overlay/ziti_scripted_controller.hpp"
#include "unit/overlay/ziti_scripted_router.hpp"

namespace simplon::overlay::ziti::test {

class ScriptedNetwork {
 public:
  explicit ScriptedNetwork(net::Loop& loop, const std::vector<std::string>& routers = {"router-1"},
                           ScriptedController::Options options = {})
      : loop_(loop), controller(loop, std::move(options)), fabric(loop) {
    controller.script = [this](const RestCall& call) { return answer(call); };
    fabric.intercept = [this](ScriptedLink& from, const FrameView& frame) {
      fabric.identities = controller.logins;
      return router_script && router_script(from, frame);
    };
    for (const std::string& router : routers) {
      start_router(router);
    }
  }

  void add_service(const std::string& name, bool encrypted = true) {
    controller.add_service(name, encrypted);
    fabric.add_service(name, encrypted);
  }

  /// On the port that it had, if it had one.
  void start_router(const std::string& name) { start_router(name, controller.authority); }
  /// ... with a certificate of that authority's.
  void start_router(const std::string& name, const Authority& authority) {
    const Credentials own =
        authority.issue(name, {.subject_alternative = "IP:127.0.0.1,DNS:localhost"});
    net::TlsOptions options{.role = net::TlsRole::server,
                            .certificate_chain = own.chain,
                            .private_key = own.private_key,
                            .trust_roots = controller.authority.root(),
                            .protocols = {{.name = "ziti-edge", .peer_certificate = true}}};
    auto context = net::TlsContext::make(options).value();
    auto acceptor = net::listen_tcp(loop_, {.host = "127.0.0.1", .port = ports_[name]}).value();
    ports_[name] = acceptor->endpoint().port;
    acceptor->start([this, name, context](net::Accepted accepted) {
      net::spawn(loop_, "scripted router",
                 serve(alive_, &fabric, name, context,
                       net::make_socket_stream(loop_, std::move(accepted.socket))));
    });
    acceptors_[name] = std::move(acceptor);
    name_routers();
  }
  /// It is gone, for the controller too if `known`.
  void stop_router(const std::string& name, bool known = false) {
    acceptors_.erase(name);
    fabric.drop_router(name);
    if (known) {
      ports_.erase(name);
      name_routers();
    }
  }
  void name_routers() {
    controller.routers.clear();
    for (const auto& [name, port] : ports_) {
      controller.routers.push_back({.name = name, .endpoint = {.host = "127.0.0.1", .port = port}});
    }
  }

  std::unique_ptr<ZitiNetwork> join(const std::string& name, std::vector<net::Loop*> loops,
                                    net::Loop* control = nullptr) {
    auto made = make_ziti_network(control == nullptr ? loop_ : *control,
                                  {.identity = controller.identity(name),
                                   .loops = std::move(loops),
                                   .first_retry = std::chrono::milliseconds(5)});
    EXPECT_TRUE(made.ok()) << made.status();
    return made.ok() ? std::move(*made) : nullptr;
  }

  /// Sees every call of the controller first.
  ScriptedController::Script controller_script;
  /// Sees every frame of the routers first.
  std::function<bool(ScriptedLink& from, const FrameView& frame)> router_script;

 private:
  // The fabric knows sessions by their service: tokens say which.
  std::optional<RestReply> answer(const RestCall& call) {
    if (controller_script) {
      if (auto scripted = controller_script(call)) {
        return scripted;
      }
    }
    const std::string bearer = call.header("authorization");
    const std::string login =
        bearer.starts_with("Bearer ") ? bearer.substr(7) : call.header("zt-session");
    if (call.method == "GET" && call.path() == "/edge/client/v1/current-identity/edge-routers" &&
        controller.logins.contains(login)) {
      json own = json::array();
      for (const Router& router : controller.routers) {
        own.push_back(
            {{"name", router.name},
             {"isOnline", true},
             {"supportedProtocols", {{"tls", "tls://" + net::to_string(router.endpoint)}}}});
      }
      return reply(200, own);
    }
    if (call.method != "POST" || call.path() != "/edge/client/v1/sessions" ||
        !controller.logins.contains(login)) {
      return std::nullopt;
    }
    const std::string id = call.parsed().value("serviceId", "");
    const std::string type = call.parsed().value("type", "");
    for (const Service& service : controller.services) {
      if (service.id == id && (type == "Dial" ? service.may_dial : service.may_bind)) {
        json routers = json::array();
        for (const Router& router : controller.routers) {
          routers.push_back(
              {{"name", router.name},
               {"isOnline", true},
               {"supportedProtocols", {{"tls", "tls://" + net::to_string(router.endpoint)}}}});
        }
        const std::string token = type == "Dial" ? ScriptedFabric::dial_token(service.name)
                                                 : ScriptedFabric::bind_token(service.name);
        return reply(201, {{"id", type + "-" + id}, {"token", token}, {"edgeRouters", routers}});
      }
    }
    return std::nullopt;
  }

  static net::awaitable<void> serve(std::weak_ptr<char> alive, ScriptedFabric* fabric,
                                    std::string router,
                                    std::shared_ptr<const net::TlsContext> context,
                                    net::StreamPtr transport) {
    const auto deadline = transport->loop().now() + std::chrono::seconds(10);
    const auto secured =
        co_await net::tls_accept(std::move(transport), std::move(context), deadline);
    if (secured && !alive.expired()) {
      fabric->serve(std::move(router), *secured);
    }
  }

  net::Loop& loop_;
  const std::shared_ptr<char> alive_ = std::make_shared<char>();
  std::map<std::string, std::uint16_t> ports_;
  std::map<std::string, std::unique_ptr<net::Acceptor>> acceptors_;

 public:
  ScriptedController controller;
  ScriptedFabric fabric;
};

}  // namespace simplon::overlay::ziti::test
