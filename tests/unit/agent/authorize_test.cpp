// Walks every method of the API, at every door, with every role.
#include "agent/authorize.hpp"

#include <array>
#include <map>
#include <set>
#include <string>

#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include "simplon/v1/agent.pb.h"
#include "simplon/v1/hub.pb.h"

namespace simplon::agent {
namespace {

// Values beyond the last stand for what a later version might add: denied, too.
constexpr std::array kDoors{Door::unix_socket, static_cast<Door>(99)};
constexpr std::array kRoles{Role::none, Role::viewer, Role::operator_, Role::admin};

const std::map<std::string, Role> kExpected{
    {"simplon.v1.Agent/GetTunnel", Role::viewer},
    {"simplon.v1.Agent/ListTunnels", Role::viewer},
    {"simplon.v1.Agent/GetAgent", Role::viewer},
    {"simplon.v1.Agent/ListOverlays", Role::viewer},
    {"simplon.v1.Agent/CheckTunnel", Role::operator_},
    {"simplon.v1.Agent/CheckOverlay", Role::operator_},
    {"simplon.v1.Agent/CreateTunnel", Role::operator_},
    {"simplon.v1.Agent/DeleteTunnel", Role::operator_},
    {"simplon.v1.Agent/SetLogLevel", Role::operator_},
    {"simplon.v1.Agent/JoinOverlay", Role::admin},
    {"simplon.v1.Agent/AddOverlay", Role::admin},
    {"simplon.v1.Agent/RemoveOverlay", Role::admin},
    {"simplon.v1.Hub/CreateInvitation", Role::admin},
    {"simplon.v1.Hub/SignIdentity", Role::admin},
};

std::set<std::string> methods() {
  std::set<std::string> out;
  for (const auto* file :
       {v1::AgentInfo::descriptor()->file(), v1::Invitation::descriptor()->file()}) {
    for (int i = 0; i < file->service_count(); ++i) {
      for (int k = 0; k < file->service(i)->method_count(); ++k) {
        out.insert(file->service(i)->full_name() + "/" + file->service(i)->method(k)->name());
      }
    }
  }
  return out;
}

TEST(Authorize, EveryMethodAtEveryDoorIsForTheRolesThatTheTableSays) {
  ASSERT_EQ(methods().size(), kExpected.size());
  for (const auto& method : methods()) {
    const auto expected = kExpected.find(method);
    ASSERT_NE(expected, kExpected.end()) << method;
    for (const Door door : kDoors) {
      for (const Role role : kRoles) {
        const bool allowed = door == Door::unix_socket && role >= expected->second;
        const auto status = authorize({door, role}, method);
        EXPECT_EQ(status.ok(), allowed) << method << " as " << to_string(role);
        if (!allowed) {
          EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
        }
      }
    }
  }
}

TEST(Authorize, WhatTheTableDoesNotKnowIsDeniedToAll) {
  for (const auto* method : {"", "simplon.v1.Agent/", "simplon.v1.Agent/Reboot", "GetAgent",
                             "simplon.v1.Agent/GetAgent/", "simplon.v2.Agent/GetAgent"}) {
    EXPECT_FALSE(authorize({Door::unix_socket, Role::admin}, method).ok()) << method;
  }
}

TEST(Authorize, TheTableHasNoRuleForAMethodThatDoesNotExist) {
  for (const Rule& rule : rules()) {
    EXPECT_TRUE(methods().contains(std::string(rule.method))) << rule.method;
    EXPECT_NE(rule.least, Role::none) << rule.method;
  }
}

}  // namespace
}  // namespace simplon::agent
