// The first door of the agent: its unix socket. Checks who connects (by the kernel's word) and
// hands the socket over together with the principal that it found.
//
// A user's agent: folder 0700, socket 0600: that user and root. A system agent
// (base::kSystemSocket): folder 0750, socket 0660, both of the group "simplon", whose members may
// use it, too.
// Threads: created, used and destroyed on the control loop. Destroying it removes the socket file.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <absl/status/statusor.h>
#include <sys/types.h>

#include "agent/authorize.hpp"
#include "net/acceptor.hpp"

namespace simplon::agent {

inline constexpr char kSystemGroup[] = "simplon";

class ControlSocket {
 public:
  /// Called on the control loop with a non-blocking, close-on-exec socket.
  using Handler = std::move_only_function<void(net::Fd, Principal)>;

  /// FAILED_PRECONDITION: the path is taken or too long; UNAVAILABLE: it cannot be made.
  static absl::StatusOr<std::unique_ptr<ControlSocket>> open(net::Loop& control,
                                                             const std::string& path);

  /// Serves from now on. Once.
  void start(Handler handler);
  const std::string& path() const { return path_; }

 private:
  ControlSocket(std::string path, std::optional<gid_t> group,
                std::unique_ptr<net::Acceptor> acceptor)
      : path_(std::move(path)), group_(group), acceptor_(std::move(acceptor)) {}

  std::string path_;
  std::optional<gid_t> group_;
  std::unique_ptr<net::Acceptor> acceptor_;
};

/// What the process at the other end of a unix socket may do: all, for this user, root and the
/// members of `group`; nothing for others.
Principal principal_of(int socket, std::optional<gid_t> group);

}  // namespace simplon::agent
