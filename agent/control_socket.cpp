#include "agent/control_socket.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <vector>

#include <grp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/state_dir.hpp"
#include "base/log.hpp"
#include "base/paths.hpp"
#include "net/unix.hpp"

namespace simplon::agent {
namespace {

// SO_PEERCRED's group is the primary one only.
std::vector<gid_t> groups_of(int socket) {
  std::vector<gid_t> groups(64);
  for (;;) {
    auto size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) == 0) {
      groups.resize(size / sizeof(gid_t));
      return groups;
    }
    if (errno != ERANGE || size <= groups.size() * sizeof(gid_t)) {
      return {};
    }
    groups.resize(size / sizeof(gid_t));
  }
}

std::optional<gid_t> find_group(const char* name) {
  std::array<char, 4096> space{};
  group entry{};
  group* found = nullptr;
  return ::getgrnam_r(name, &entry, space.data(), space.size(), &found) == 0 && found != nullptr
             ? std::optional(entry.gr_gid)
             : std::nullopt;
}

absl::Status cannot_listen(const std::string& path, std::error_code error) {
  if (error == base::Errc::limit_exceeded) {
    return absl::FailedPreconditionError("control socket " + path +
                                         ": the path is longer than the 107 bytes that a socket's "
                                         "may have; choose another with --socket");
  }
  if (error == base::Errc::address_in_use) {
    return absl::FailedPreconditionError("control socket " + path +
                                         ": another program listens there, or it is no socket; "
                                         "choose another with --socket");
  }
  return absl::UnavailableError("control socket " + path + ": " + error.message());
}

}  // namespace

Principal principal_of(int socket, std::optional<gid_t> group) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return {Door::unix_socket, Role::none};
  }
  bool known = peer.uid == ::geteuid() || peer.uid == 0;
  if (!known && group) {
    const auto groups = groups_of(socket);
    known = peer.gid == *group || std::ranges::find(groups, *group) != groups.end();
  }
  return {Door::unix_socket, known ? Role::admin : Role::none};
}

absl::StatusOr<std::unique_ptr<ControlSocket>> ControlSocket::open(net::Loop& control,
                                                                   const std::string& path) {
  const bool system = path == base::kSystemSocket;
  const auto group = system ? find_group(kSystemGroup) : std::nullopt;
  const auto folder = std::filesystem::path(path).parent_path();
  const bool made = !std::filesystem::exists(folder);
  if (auto status = make_folder(folder, system ? 0750 : 0700); !status.ok()) {
    return status;
  }
  auto acceptor = net::listen_unix(control, path, system ? 0660 : 0600);
  if (!acceptor) {
    return cannot_listen(path, acceptor.error());
  }
  if (group) {
    // Fails where this user is not of that group: then the socket is for this user alone.
    if ((made && ::chown(folder.c_str(), static_cast<uid_t>(-1), *group) != 0) ||
        ::chown(path.c_str(), static_cast<uid_t>(-1), *group) != 0) {
      base::log().warn("control socket {}: cannot be given to the group {}", path, kSystemGroup);
    }
  }
  return std::unique_ptr<ControlSocket>(new ControlSocket(path, group, std::move(*acceptor)));
}

void ControlSocket::start(Handler handler) {
  acceptor_->start([group = group_, handler = std::move(handler)](net::Accepted accepted) mutable {
    const Principal principal = principal_of(accepted.socket.get(), group);
    if (principal.role == Role::none) {
      base::log().warn("control socket: refused a connection of another user");
      return;
    }
    handler(std::move(accepted.socket), principal);
  });
}

}  // namespace simplon::agent
