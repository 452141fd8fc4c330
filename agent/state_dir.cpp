#include "agent/state_dir.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <sstream>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace simplon::agent {
namespace {

std::string sentence(const std::filesystem::path& path, const std::string& what, int error) {
  return path.string() + ": " + what + ": " + std::strerror(error);
}

// "pid 4711 (alpha)", from what that agent wrote into its lock.
std::string holder(int lock) {
  std::array<char, 128> text{};
  const auto size = ::pread(lock, text.data(), text.size() - 1, 0);
  std::istringstream words(size > 0 ? std::string(text.data()) : std::string());
  std::string pid;
  std::string name;
  words >> pid >> name;
  if (pid.empty()) {
    return "which just starts";
  }
  return "pid " + pid + (name.empty() ? "" : " (" + name + ")");
}

}  // namespace

absl::Status make_folder(const std::filesystem::path& folder, mode_t mode) {
  std::error_code error;
  if (folder.has_parent_path()) {
    std::filesystem::create_directories(folder.parent_path(), error);
    if (error) {
      return absl::UnavailableError(folder.parent_path().string() +
                                    ": cannot be made: " + error.message());
    }
  }
  if (::mkdir(folder.c_str(), mode) == 0) {
    // Whatever the umask took away.
    ::chmod(folder.c_str(), mode);
    return absl::OkStatus();
  }
  if (errno != EEXIST) {
    return absl::UnavailableError(sentence(folder, "cannot be made", errno));
  }
  if (!std::filesystem::is_directory(folder, error)) {
    return absl::UnavailableError(folder.string() + ": is not a folder");
  }
  return absl::OkStatus();
}

absl::StatusOr<StateDir> StateDir::open(const std::filesystem::path& folder,
                                        const std::string& agent_name) {
  if (auto made = make_folder(folder, 0700); !made.ok()) {
    return made;
  }
  struct stat info{};
  if (::stat(folder.c_str(), &info) != 0) {
    return absl::UnavailableError(sentence(folder, "cannot be read", errno));
  }
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return absl::FailedPreconditionError(
        folder.string() +
        ": others may write to this state folder; chmod 700 it, or choose another "
        "with --state-dir");
  }
  const auto file = folder / "lock";
  net::Fd lock(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock) {
    return absl::UnavailableError(sentence(file, "cannot be opened", errno));
  }
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(
        folder.string() + ": this state folder is in use by another agent, " + holder(lock.get()) +
        "; stop that one, or choose another with --state-dir");
  }
  const std::string text = std::to_string(::getpid()) + " " + agent_name + "\n";
  if (::ftruncate(lock.get(), 0) != 0 ||
      ::pwrite(lock.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    return absl::UnavailableError(sentence(file, "cannot be written", errno));
  }
  return StateDir(folder, std::move(lock));
}

}  // namespace simplon::agent
