#include "base/paths.hpp"

#include <map>

#include <gmock/gmock.h>

namespace simplon::base {
namespace {

using testing::ElementsAre;

PathSources user(std::map<std::string, std::string> variables) {
  PathSources out;
  out.environment = [variables = std::move(variables)](const char* name) {
    const auto at = variables.find(name);
    return at == variables.end() ? std::nullopt : std::optional(at->second);
  };
  return out;
}

TEST(Paths, RootLivesInTheSystemsFolders) {
  auto from = user({{"HOME", "/root"}, {"XDG_RUNTIME_DIR", "/run/user/0"}});
  from.root = true;
  EXPECT_EQ(agent_paths(from).state_dir, "/var/lib/simplon");
  EXPECT_EQ(agent_paths(from).socket, "/run/simplon/agent.sock");
  EXPECT_THAT(control_sockets(from), ElementsAre("/run/simplon/agent.sock"));
}

TEST(Paths, AUserLivesInTheirOwnFoldersAndTriesTheSystemsSocketToo) {
  const auto from = user({{"HOME", "/home/ann"}, {"XDG_RUNTIME_DIR", "/run/user/7"}});
  EXPECT_EQ(agent_paths(from).state_dir, "/home/ann/.local/state/simplon");
  EXPECT_THAT(control_sockets(from),
              ElementsAre("/run/user/7/simplon/agent.sock", "/run/simplon/agent.sock"));
}

TEST(Paths, WithoutARuntimeFolderTheSocketIsInTheStateFolder) {
  const auto from = user({{"HOME", "/home/ann"}, {"XDG_STATE_HOME", "/home/ann/st"}});
  EXPECT_EQ(agent_paths(from).socket, "/home/ann/st/simplon/agent.sock");
}

TEST(Paths, AChosenStateFolderHoldsTheSocket) {
  const auto from = user({{"SIMPLON_STATE_DIR", "/tmp/beta"}, {"XDG_RUNTIME_DIR", "/run/user/7"}});
  EXPECT_EQ(agent_paths(from).state_dir, "/tmp/beta");
  EXPECT_THAT(control_sockets(from), ElementsAre("/tmp/beta/agent.sock"));
}

TEST(Paths, AFlagBeatsTheEnvironment) {
  auto from = user({{"SIMPLON_SOCKET", "/tmp/env.sock"}, {"SIMPLON_STATE_DIR", "/tmp/env"}});
  EXPECT_THAT(control_sockets(from), ElementsAre("/tmp/env.sock"));
  from.state_dir_flag = "/tmp/flag";
  EXPECT_THAT(control_sockets(from), ElementsAre("/tmp/flag/agent.sock"));
  from.socket_flag = "/tmp/flag.sock";
  EXPECT_THAT(control_sockets(from), ElementsAre("/tmp/flag.sock"));
  EXPECT_EQ(agent_paths(from).state_dir, "/tmp/flag");
}

}  // namespace
}  // namespace simplon::base
