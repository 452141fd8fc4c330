// The agent's state folder, held by one agent at a time.
//
// The lock is the kernel's (flock), so it goes with the process, however that ends.
#pragma once

#include <filesystem>
#include <string>

#include <absl/status/statusor.h>

#include "net/socket.hpp"

namespace simplon::agent {

class StateDir {
 public:
  /// Makes the folder (0700) where it is missing, and locks it. FAILED_PRECONDITION: another agent
  /// holds it (named by its process id), or others may write there. UNAVAILABLE: cannot be made.
  static absl::StatusOr<StateDir> open(const std::filesystem::path& folder,
                                       const std::string& agent_name);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path database() const { return path_ / "simplon.db"; }
  /// Identities of the networks that were joined.
  std::filesystem::path overlays() const { return path_ / "overlays"; }

 private:
  StateDir(std::filesystem::path path, net::Fd lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}

  std::filesystem::path path_;
  net::Fd lock_;
};

/// Makes `folder` with this mode; its parents get the usual one. OK if it exists.
absl::Status make_folder(const std::filesystem::path& folder, mode_t mode);

}  // namespace simplon::agent
