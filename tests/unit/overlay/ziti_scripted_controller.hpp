// A controller of OpenZiti for tests: keeps to the API, until a test tells it to lie, to keep
// silent or to go away. Owned by a test, on its loop.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/ascii.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "net/tcp.hpp"
#include "net/tls.hpp"
#include "overlay/ziti/identity_file.hpp"
#include "overlay/ziti/rest_values.hpp"
#include "support/certificates.hpp"
#include "unit/net/harness.hpp"

namespace simplon::overlay::ziti::test {

using nlohmann::json;
using simplon::test::Authority;
using simplon::test::CertificateOptions;
using simplon::test::Credentials;

struct RestCall {
  std::string method;
  std::string target;                          ///< path and query
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string body;
  std::string peer;  ///< the name in the client's certificate; empty: it showed none

  std::string path() const { return target.substr(0, target.find('?')); }
  json parsed() const { return json::parse(body, nullptr, false); }
  std::string header(const std::string& name) const {
    const auto at = headers.find(name);
    return at == headers.end() ? "" : at->second;
  }
};

struct RestReply {
  unsigned status = 200;
  std::string body = {};
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers = {};
  bool silent = false;  ///< never answers
  bool close = false;   ///< ends the connection after the answer
};

inline RestReply reply(unsigned status, const json& data, const json& meta = json::object()) {
  return {.status = status, .body = json({{"data", data}, {"meta", meta}}).dump()};
}
inline RestReply refusal(unsigned status, const std::string& code,
                         const std::string& message = "refused", const json& cause = nullptr) {
  return {.status = status,
          .body = json({{"error", {{"code", code}, {"message", message}, {"cause", cause}}},
                        {"meta", json::object()}})
                      .dump()};
}

/// An HTTPS server that answers by one function. What a zrok instance is made of, too.
class ScriptedServer {
 public:
  using Answer = std::function<RestReply(const RestCall&)>;

  ScriptedServer(net::Loop& loop, const Credentials& shown, const std::string& client_roots,
                 Answer answer, std::uint16_t port = 0)
      : state_(std::make_shared<State>(loop)) {
    state_->answer = std::move(answer);
    net::TlsOptions options{
        .role = net::TlsRole::server,
        .certificate_chain = shown.chain,
        .private_key = shown.private_key,
        .trust_roots = client_roots,
        .protocols = {{.name = "http/1.1", .peer_certificate = !client_roots.empty()}}};
    state_->context = net::TlsContext::make(options).value();
    acceptor_ = std::move(*net::listen_tcp(loop, {.host = "127.0.0.1", .port = port}));
    acceptor_->start([state = state_](net::Accepted accepted) {
      ++state->connections;
      net::spawn(state->loop, "scripted server", serve(state, std::move(accepted.socket)));
    });
  }
  ~ScriptedServer() {
    acceptor_.reset();
    end_connections();
    state_->answer = [](const RestCall&) { return RestReply{.silent = true}; };
  }
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  std::uint16_t port() const { return acceptor_->endpoint().port; }
  int connections() const { return state_->connections; }
  void end_connections() {
    for (const auto& stream : std::exchange(state_->streams, {})) {
      stream->reset();
    }
  }

 private:
  struct State {
    explicit State(net::Loop& on) : loop(on) {}
    net::Loop& loop;
    std::shared_ptr<const net::TlsContext> context;
    Answer answer;
    std::vector<net::StreamPtr> streams;
    int connections = 0;
  };

  static net::awaitable<std::optional<RestCall>> read(net::StreamPtr stream) {
    std::string text;
    std::array<std::byte, 4096> piece;
    std::size_t want = std::string::npos;
    RestCall call;
    while (want == std::string::npos || text.size() < want) {
      const auto got = co_await net::read_some(*stream, piece);
      if (!got || *got == 0) {
        co_return std::nullopt;
      }
      text.append(reinterpret_cast<const char*>(piece.data()), *got);
      const auto end = text.find("\r\n\r\n");
      if (want != std::string::npos || end == std::string::npos) {
        continue;
      }
      want = end + 4;
      std::size_t at = text.find("\r\n");
      const std::string line = text.substr(0, at);
      call.method = line.substr(0, line.find(' '));
      call.target = line.substr(call.method.size() + 1, line.rfind(' ') - call.method.size() - 1);
      while (at < end) {
        const auto next = text.find("\r\n", at + 2);
        const std::string field = text.substr(at + 2, next - at - 2);
        const auto colon = field.find(": ");
        call.headers[absl::AsciiStrToLower(field.substr(0, colon))] = field.substr(colon + 2);
        at = next;
      }
      std::size_t length = 0;
      if (absl::SimpleAtoi(call.header("content-length"), &length)) {
        want += length;
      }
    }
    const auto head = text.find("\r\n\r\n") + 4;
    call.body = text.substr(head, want - head);
    co_return call;
  }

  static net::awaitable<void> serve(std::shared_ptr<State> state, net::Fd socket) {
    auto transport = net::make_socket_stream(state->loop, std::move(socket));
    auto secured = co_await net::tls_accept(std::move(transport), state->context,
                                            state->loop.now() + std::chrono::seconds(10));
    if (!secured) {
      co_return;
    }
    const net::StreamPtr stream = *secured;
    state->streams.push_back(stream);
    for (;;) {
      auto call = co_await read(stream);
      if (!call) {
        break;
      }
      call->peer = stream->peer() != nullptr ? stream->peer()->name : "";
      const RestReply said = state->answer(*call);
      if (said.silent) {
        continue;
      }
      std::string out =
          absl::StrCat("HTTP/1.1 ", said.status, " Said\r\nContent-Type: ", said.content_type,
                       "\r\nContent-Length: ", said.body.size(), "\r\n");
      for (const auto& [name, value] : said.headers) {
        absl::StrAppend(&out, name, ": ", value, "\r\n");
      }
      absl::StrAppend(&out, said.close ? "Connection: close\r\n" : "", "\r\n", said.body);
      const auto sent = co_await net::write_all(*stream, net::as_buffer(out));
      if (!sent || said.close) {
        break;
      }
    }
    stream->close();
  }

  std::shared_ptr<State> state_;
  std::unique_ptr<net::Acceptor> acceptor_;
};

/// A network's authority with its identities, and its controller.
class ScriptedController {
 public:
  struct Options {
    std::string version = "v2.0.3";
    bool oidc = false;
    bool client_certificates = true;
    std::uint16_t port = 0;
    /// Of the server's certificate.
    CertificateOptions certificate = {.subject_alternative = "IP:127.0.0.1"};
  };

  explicit ScriptedController(net::Loop& loop) : ScriptedController(loop, Options()) {}
  ScriptedController(net::Loop& loop, Options given)
      : options(std::move(given)),
        shown(authority.issue("controller", options.certificate)),
        server_(std::make_unique<ScriptedServer>(
            loop, shown, options.client_certificates ? authority.root() : "",
            [this](const RestCall& call) { return answer(call); }, options.port)) {}

  std::string issuer() const { return absl::StrCat("https://127.0.0.1:", server_->port()); }
  std::string url() const { return issuer() + "/edge/client/v1"; }
  ScriptedServer& server() { return *server_; }
  /// Goes away, with all connections.
  void stop() { server_.reset(); }

  IdentityFile identity(const std::string& name) const {
    const auto own = authority.issue(name);
    return {.controllers = {url()},
            .key = own.private_key,
            .certificate = own.chain,
            .ca = authority.root()};
  }

  /// Sees every call first; an answer of it is given instead of the API's.
  using Script = std::function<std::optional<RestReply>(const RestCall&)>;
  Script script;

  const Service& add_service(const std::string& name, bool encrypted = true) {
    services.push_back({.id = "id-" + name,
                        .name = name,
                        .may_dial = true,
                        .may_bind = true,
                        .encrypted = encrypted});
    change();
    return services.back();
  }
  void change() { last_change = absl::StrCat("2026-01-01T00:00:", 10 + ++changes_, "Z"); }
  /// Every login and service session is forgotten, as after a restart without state.
  void forget() { logins.clear(); }
  /// "METHOD /path" → how often.
  int count(const std::string& what) const {
    const auto at = calls.find(what);
    return at == calls.end() ? 0 : at->second;
  }

  const Authority authority{"ziti root"};
  Options options;
  const Credentials shown;
  std::vector<Service> services;
  std::vector<Router> routers;                  ///< of every session
  std::map<std::string, std::string> logins;    ///< token → identity's name
  std::map<std::string, std::string> sessions;  ///< token → "Dial id-x"
  std::map<std::string, int> calls;
  std::string last_change = "2026-01-01T00:00:00Z";
  int login_seconds = 1800;
  std::size_t page_limit = 500;

 private:
  json describe(const Service& service) const {
    json permissions = json::array();
    if (service.may_dial) {
      permissions.push_back("Dial");
    }
    if (service.may_bind) {
      permissions.push_back("Bind");
    }
    return {{"id", service.id},
            {"name", service.name},
            {"permissions", permissions},
            {"encryptionRequired", service.encrypted},
            {"config", json::object()}};
  }
  json described_routers() const {
    json out = json::array();
    for (const Router& router : routers) {
      out.push_back(
          {{"name", router.name},
           {"isOnline", true},
           {"supportedProtocols", {{"tls", "tls://" + net::to_string(router.endpoint)}}}});
    }
    return out;
  }
  std::string token(const std::string& kind) { return absl::StrCat(kind, "-", ++tokens_); }

  RestReply answer(const RestCall& call) {
    ++calls[call.method + " " + call.path()];
    if (script) {
      if (auto scripted = script(call)) {
        return *std::move(scripted);
      }
    }
    if (call.path().starts_with("/oidc/")) {
      return answer_oidc(call);
    }
    const std::string base = "/edge/client/v1";
    const std::string path = call.path().substr(base.size());
    if (path == "/version") {
      json capabilities = json::array();
      if (options.oidc) {
        capabilities.push_back("OIDC_AUTH");
      }
      return reply(200, {{"version", options.version}, {"capabilities", capabilities}});
    }
    if (path == "/authenticate") {
      if (call.peer.empty()) {
        return refusal(401, "INVALID_AUTH");
      }
      const std::string made = token("login");
      logins[made] = call.peer;
      return reply(200, login_data(made));
    }
    const std::string bearer = call.header("authorization");
    const std::string shown_token =
        bearer.starts_with("Bearer ") ? bearer.substr(7) : call.header("zt-session");
    const auto login = logins.find(shown_token);
    if (login == logins.end()) {
      return refusal(401, "UNAUTHORIZED");
    }
    return answer_known(call, path, shown_token);
  }

  json login_data(const std::string& made) const {
    const std::string& name = logins.at(made);
    return {{"token", made},
            {"identityId", "id-" + name},
            {"identity", {{"id", "id-" + name}, {"name", name}}},
            {"expirationSeconds", login_seconds},
            {"authQueries", json::array()}};
  }

  RestReply answer_known(const RestCall& call, const std::string& path, const std::string& login) {
    if (path == "/current-api-session") {
      if (call.method == "DELETE") {
        logins.erase(login);
        return reply(200, json::object());
      }
      return reply(200, login_data(login));
    }
    if (path == "/current-identity") {
      return reply(200, {{"id", "id-" + logins[login]}, {"name", logins[login]}});
    }
    if (path == "/current-api-session/service-updates") {
      return reply(200, {{"lastChangeAt", last_change}});
    }
    if (path == "/services") {
      std::size_t offset = 0;
      std::size_t limit = 10;
      (void)absl::SimpleAtoi(query_parameter(call.target, "offset"), &offset);
      (void)absl::SimpleAtoi(query_parameter(call.target, "limit"), &limit);
      limit = std::min(limit, page_limit);
      json page = json::array();
      for (std::size_t i = offset; i < services.size() && i < offset + limit; ++i) {
        page.push_back(describe(services[i]));
      }
      return reply(200, page,
                   {{"pagination",
                     {{"limit", limit}, {"offset", offset}, {"totalCount", services.size()}}}});
    }
    if (path.ends_with("/edge-routers") ||
        (path.starts_with("/sessions/") && call.method == "GET")) {
      return reply(200, {{"edgeRouters", described_routers()}});
    }
    if (path.starts_with("/sessions/") && call.method == "DELETE") {
      return reply(200, json::object());
    }
    if (path == "/sessions") {
      const std::string wanted =
          call.parsed().value("type", "") + " " + call.parsed().value("serviceId", "");
      for (const Service& service : services) {
        if ((service.may_dial && wanted == "Dial " + service.id) ||
            (service.may_bind && wanted == "Bind " + service.id)) {
          const std::string made = token("session");
          sessions[made] = wanted;
          return reply(
              201, {{"id", "of " + wanted}, {"token", made}, {"edgeRouters", described_routers()}});
        }
      }
      return refusal(400, "COULD_NOT_VALIDATE", "The supplied request contains an invalid document",
                     {{"field", "serviceId"}, {"reason", "service not found"}});
    }
    return refusal(404, "NOT_FOUND");
  }

  RestReply answer_oidc(const RestCall& call) {
    const auto redirect = [](const std::string& to) {
      return RestReply{.status = 302, .content_type = "text/html", .headers = {{"Location", to}}};
    };
    const std::string path = call.path();
    if (path == "/oidc/authorize") {
      state_ = query_parameter(call.target, "state");
      challenge_ = query_parameter(call.target, "code_challenge");
      redirect_ = query_parameter(call.target, "redirect_uri");
      return redirect("/oidc/login/username?authRequestID=request-1");
    }
    if (path == "/oidc/login/cert") {
      proven_ = call.peer;
      return call.parsed().value("id", "") == "request-1" && !call.peer.empty()
                 ? redirect(issuer() + "/oidc/authorize/callback?id=request-1")
                 : refusal(401, "INVALID_AUTH");
    }
    if (path == "/oidc/authorize/callback") {
      return redirect(redirect_ + "?code=code-1&state=" + state_);
    }
    const std::string form = "?" + call.body;
    const bool first = query_parameter(form, "grant_type") == "authorization_code";
    const bool known = first ? query_parameter(form, "code") == "code-1" &&
                                   !query_parameter(form, "code_verifier").empty()
                             : query_parameter(form, "refresh_token") == refresh_;
    if (path != "/oidc/oauth/token" || !known) {
      return {.status = 400, .body = R"({"error":"invalid_grant","error_description":"no"})"};
    }
    const std::string made = token("bearer");
    refresh_ = token("refresh");
    logins[made] = proven_;
    return {.status = 200,
            .body = json({{"access_token", made},
                          {"refresh_token", refresh_},
                          {"expires_in", login_seconds},
                          {"token_type", "Bearer"}})
                        .dump()};
  }

  int tokens_ = 0;
  int changes_ = 0;
  std::string state_, challenge_, redirect_, proven_, refresh_;
  std::unique_ptr<ScriptedServer> server_;
};

}  // namespace simplon::overlay::ziti::test
