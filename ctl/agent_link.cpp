#include "ctl/agent_link.hpp"

#include <cerrno>
#include <cstring>
#include <string_view>
#include <system_error>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/paths.hpp"
#include "ctl/http_options.hpp"
#include "ctl/text.hpp"

namespace simplon::ctl {
namespace {

// What connect() says about a socket path; 0 if somebody listens there.
int probe(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return ENAMETOOLONG;
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    return errno;
  }
  const int error =
      ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
  ::close(fd);
  return error;
}

std::string start_command(const Context& context) {
  std::string out = "simplon-agent";
  if (!context.state_dir.empty()) {
    out += " --state-dir " + shell_word(context.state_dir);
  }
  if (!context.socket.empty()) {
    out += " --socket " + shell_word(context.socket);
  }
  return out;
}

Trouble nobody_answers(const Context& context,
                       const std::vector<std::pair<std::string, int>>& tried) {
  Trouble out{Exit::unreachable, "no agent answers at ",
              "start one with: " + start_command(context)};
  bool first = true;
  for (const auto& [path, error] : tried) {
    out.what +=
        (first ? "" : ", nor at ") + path + " (" + std::generic_category().message(error) + ")";
    first = false;
    if (error == EACCES) {
      out.next =
          "you may not use that agent's socket: run simplonctl as its user, or be in the group "
          "of the socket; to start an agent of your own: " +
          start_command(context);
    } else if (error == ENAMETOOLONG) {
      out.next = "a socket path holds at most 107 bytes: choose another with --socket";
    }
  }
  return out;
}

std::string advice(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::INVALID_ARGUMENT: {
      const std::string option = option_for(status.error_message());
      return option.empty() ? option : "that is " + option;
    }
    case grpc::StatusCode::NOT_FOUND:
      return "simplonctl list shows the tunnels of this agent";
    case grpc::StatusCode::ALREADY_EXISTS:
      if (status.error_message().starts_with("share.service: ")) {
        return "choose another name with --service, or delete that share";
      }
      // Of a tunnel's name the agent says itself what to do.
      return status.error_message().starts_with("name: ") ? "" : "choose another name";
    case grpc::StatusCode::PERMISSION_DENIED:
      return "this identity or user has no right to that on this agent";
    case grpc::StatusCode::UNIMPLEMENTED:
      return "the agent is older than simplonctl; simplonctl version shows both";
    default:
      return {};
  }
}

}  // namespace

Trouble trouble_of(const grpc::Status& status, const std::string& socket, bool socket_answers,
                   const std::string& start) {
  Trouble out{Exit::failed, status.error_message(), advice(status),
              static_cast<int>(status.error_code())};
  switch (status.error_code()) {
    case grpc::StatusCode::NOT_FOUND:
      out.exit = Exit::not_found;
      break;
    case grpc::StatusCode::INVALID_ARGUMENT:
      out.exit = Exit::usage;
      break;
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return {Exit::unreachable, "the agent at " + socket + " did not answer in time",
              "look at its log, or restart it: " + start};
    case grpc::StatusCode::UNAVAILABLE:
      if (!socket_answers) {
        return {Exit::unreachable, "the agent at " + socket + " went away",
                "start it again with: " + start};
      }
      out.next = "try again; simplonctl status shows the agent's links";
      break;
    default:
      break;
  }
  if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) {
    out.what = "the agent at " + socket + " does not know this call";
  } else if (out.what.empty()) {
    out.what = "the agent refused without a reason (status " + std::to_string(out.code) + ")";
  }
  return out;
}

AgentLink::AgentLink(std::string socket, std::string start,
                     const std::shared_ptr<grpc::Channel>& channel)
    : socket_(std::move(socket)),
      start_(std::move(start)),
      agent_(v1::Agent::NewStub(channel)),
      hub_(v1::Hub::NewStub(channel)) {}

Answer<AgentLink> AgentLink::open(const Context& context) {
  std::vector<std::pair<std::string, int>> tried;
  for (const auto& path :
       base::control_sockets(base::PathSources::of_process(context.socket, context.state_dir))) {
    const int error = probe(path);
    if (error == 0) {
      grpc::ChannelArguments arguments;
      arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
      arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
      return AgentLink(
          path, start_command(context),
          grpc::CreateCustomChannel("unix:" + path, grpc::InsecureChannelCredentials(), arguments));
    }
    tried.emplace_back(path, error);
  }
  return std::unexpected(nobody_answers(context, tried));
}

Trouble AgentLink::failed(const grpc::Status& status) const {
  return trouble_of(status, socket_, probe(socket_) == 0, start_);
}

}  // namespace simplon::ctl
