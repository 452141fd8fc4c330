// A zrok instance for tests: keeps to the API of version 2, until a test tells it otherwise. Owned
// by a test, on its loop.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "overlay/zrok/zrok_client.hpp"
#include "unit/overlay/ziti_scripted_controller.hpp"

namespace simplon::overlay::zrok::test {

using nlohmann::json;
using ziti::test::Authority;
using ziti::test::RestCall;
using ziti::test::RestReply;
using ziti::test::ScriptedServer;

inline constexpr char kToken[] = "AccountToken12";

class ScriptedInstance {
 public:
  explicit ScriptedInstance(net::Loop& loop)
      : server_(loop, authority.issue("zrok", {.subject_alternative = "IP:127.0.0.1"}), "",
                [this](const RestCall& call) { return answer(call); }) {}

  Account account() const {
    return {.endpoint = absl::StrCat("https://127.0.0.1:", server_.port()), .token = kToken};
  }
  /// An identity of the network below, which is no real one.
  std::string identity_json() const {
    const auto own = authority.issue("environment");
    return ziti::to_json({.controllers = {"https://127.0.0.1:1/edge/client/v1"},
                          .key = own.private_key,
                          .certificate = own.chain,
                          .ca = authority.root()});
  }
  Membership membership() {
    environments.push_back("env1");
    return {.account = account(),
            .environment = "env1",
            .identity = ziti::parse_identity(identity_json(), {}).value()};
  }
  int count(const std::string& what) const {
    const auto at = calls.find(what);
    return at == calls.end() ? 0 : at->second;
  }

  struct Shared {
    std::string environment;
    std::string mode;
    std::string target;
    std::string name;
    std::string backend;
  };
  struct Accessed {
    std::string environment;
    std::string share;
    std::string description;
  };
  std::function<std::optional<RestReply>(const RestCall&)> script;
  const Authority authority{"zrok root"};
  std::map<std::string, int> calls;
  std::vector<std::string> environments;
  std::map<std::string, Shared> shares;      // by token
  std::map<std::string, Accessed> accesses;  // by its own token
  std::vector<std::string> names;            // kept in the namespace "public"

 private:
  static RestReply said(unsigned status, const json& body = nullptr) {
    return {.status = status,
            .body = body.is_null() ? "" : body.dump(),
            .content_type = "application/zrok.v1+json"};
  }
  bool has_environment(const json& body) const {
    return std::ranges::find(environments, body.value("envZId", "")) != environments.end();
  }

  RestReply answer(const RestCall& call) {
    const std::string path = call.path();
    ++calls[call.method + " " + path];
    if (script) {
      if (auto scripted = script(call)) {
        return *std::move(scripted);
      }
    }
    if (call.header("x-token") != kToken) {
      return said(401);
    }
    EXPECT_EQ(call.header("accept"), "application/zrok.v1+json");
    if (!call.body.empty()) {
      EXPECT_EQ(call.header("content-type"), "application/zrok.v1+json");
    }
    const json body = call.body.empty() ? json::object() : call.parsed();
    if (path == "/api/v2/enable") {
      environments.push_back("env1");
      return said(201, {{"identity", "env1"}, {"cfg", identity_json()}});
    }
    if (path == "/api/v2/disable") {
      return said(std::erase(environments, body.value("identity", "")) > 0 ? 200 : 401);
    }
    if (const std::string detail = "/api/v2/detail/environment/"; path.starts_with(detail)) {
      const bool known =
          std::ranges::find(environments, path.substr(detail.size())) != environments.end();
      return said(known ? 200 : 404, json::object());
    }
    if (path == "/api/v2/share") {
      return share(body);
    }
    if (path == "/api/v2/unshare") {
      return said(shares.erase(body.value("shareToken", "")) > 0 ? 200 : 404);
    }
    if (path == "/api/v2/access") {
      if (!shares.contains(body.value("shareToken", ""))) {
        return said(404);
      }
      const std::string token = absl::StrCat("access", ++made_);
      accesses[token] = {.environment = body.value("envZId", ""),
                         .share = body.value("shareToken", ""),
                         .description = body.value("description", "")};
      return said(201, {{"frontendToken", token}, {"backendMode", "proxy"}});
    }
    if (path == "/api/v2/unaccess") {
      return said(accesses.erase(body.value("frontendToken", "")) > 0 ? 200 : 404);
    }
    return list(call, path, body);
  }

  RestReply share(const json& body) {
    if (!has_environment(body)) {
      return said(401);
    }
    const bool is_public = body.value("shareMode", "") == "public";
    std::string name = is_public ? body["nameSelections"][0].value("name", "")
                                 : body.value("privateShareToken", "");
    std::string token = !is_public && !name.empty() ? name : absl::StrCat("token", ++made_);
    if (is_public && !name.empty() && std::ranges::find(names, name) == names.end()) {
      return said(409, "error finding name");
    }
    for (const auto& [other, shared] : shares) {
      if (other == token || (is_public && !name.empty() && shared.name == name)) {
        return said(409, "already in use by another share");
      }
    }
    shares[token] = {.environment = body.value("envZId", ""),
                     .mode = body.value("shareMode", ""),
                     .target = body.value("target", ""),
                     .name = name,
                     .backend = body.value("backendMode", "")};
    json answer = {{"shareToken", token}};
    if (is_public) {
      answer["frontendProxyEndpoints"] = {endpoint(name.empty() ? token : name)};
    }
    return said(201, answer);
  }
  static std::string endpoint(const std::string& name) { return name + ".share.example"; }

  RestReply list(const RestCall& call, const std::string& path, const json& body) {
    json out = json::array();
    if (path == "/api/v2/shares") {
      EXPECT_NE(ziti::query_parameter(call.target, "envZId"), "");
      for (const auto& [token, shared] : shares) {
        out.push_back(
            {{"shareToken", token},
             {"envZId", shared.environment},
             {"shareMode", shared.mode},
             {"target", shared.target},
             {"frontendEndpoints", {endpoint(shared.name.empty() ? token : shared.name)}}});
      }
      return said(200, {{"shares", out}});
    }
    if (path == "/api/v2/accesses") {
      for (const auto& [token, accessed] : accesses) {
        out.push_back({{"frontendToken", token},
                       {"envZId", accessed.environment},
                       {"shareToken", accessed.share},
                       {"description", accessed.description}});
      }
      return said(200, {{"accesses", out}});
    }
    if (path == "/api/v2/share/namespaces") {
      out.push_back({{"namespaceToken", "other"}, {"name", "other.example"}});
      out.push_back({{"namespaceToken", "public"}, {"name", "share.example"}});
      return said(200, out);
    }
    if (path == "/api/v2/share/name") {
      EXPECT_EQ(body.value("namespaceToken", ""), "public");
      const std::string name = body.value("name", "");
      if (std::ranges::find(names, name) != names.end()) {
        return said(409);
      }
      names.push_back(name);
      return said(201);
    }
    return said(404);
  }

  int made_ = 0;
  ScriptedServer server_;
};

}  // namespace simplon::overlay::zrok::test
