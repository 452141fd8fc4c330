#include "overlay/identity_text.hpp"

#include <cerrno>
#include <cstring>

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ids.hpp"
#include "net/socket.hpp"

namespace simplon::overlay {
namespace {

std::string quoted(const std::filesystem::path& file) {
  return absl::StrCat("identity file ", file.string(), ": ");
}

absl::Status file_error(const std::filesystem::path& file, int error) {
  const std::string text = quoted(file) + std::strerror(error);
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError(text);
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(text);
    case EEXIST:
      return absl::AlreadyExistsError(text);
    case ENOSPC:
    case EDQUOT:
      return absl::ResourceExhaustedError(text);
    default:
      return absl::UnavailableError(text);
  }
}

// Reads on until `into` is full or the file ends; how much it was, or -1.
ssize_t read_all(int fd, char* into, std::size_t size) {
  std::size_t have = 0;
  while (have < size) {
    const ssize_t got = ::read(fd, into + have, size - have);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return -1;
    }
    if (got == 0) {
      break;
    }
    have += static_cast<std::size_t>(got);
  }
  return static_cast<ssize_t>(have);
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t put = ::write(fd, text.data(), text.size());
    if (put < 0 && errno == EINTR) {
      continue;
    }
    if (put <= 0) {
      return false;
    }
    text.remove_prefix(static_cast<std::size_t>(put));
  }
  return true;
}

// The new name in the folder survives a power loss.
absl::Status sync_folder(const std::filesystem::path& file) {
  const auto folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
  const net::Fd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) {
    return file_error(file, errno);
  }
  return absl::OkStatus();
}

absl::Status put_in_place(const std::filesystem::path& written, const std::filesystem::path& file,
                          bool replace) {
  // link() is what refuses an existing name without a race.
  const int done =
      replace ? ::rename(written.c_str(), file.c_str()) : ::link(written.c_str(), file.c_str());
  return done == 0 ? absl::OkStatus() : file_error(file, errno);
}

}  // namespace

absl::StatusOr<std::string> read_identity_text(const std::filesystem::path& file,
                                               std::size_t most) {
  // Non-blocking: opening a FIFO must not wait for its writer.
  const net::Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) {
    return file_error(file, errno);
  }
  struct stat about{};
  if (::fstat(fd.get(), &about) != 0) {
    return file_error(file, errno);
  }
  if (!S_ISREG(about.st_mode)) {
    return absl::InvalidArgumentError(quoted(file) + "not a regular file");
  }
  std::string text(most, '\0');
  const ssize_t size = read_all(fd.get(), text.data(), text.size());
  if (size < 0) {
    return file_error(file, errno);
  }
  text.resize(static_cast<std::size_t>(size));
  return text;
}

absl::Status write_identity_text(std::string_view text, const std::filesystem::path& file,
                                 bool replace) {
  std::filesystem::path beside = file;
  beside += "." + base::new_id() + ".new";
  net::Fd fd(::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) {
    return file_error(file, errno);
  }
  absl::Status status;
  if (!write_all(fd.get(), text) || ::fsync(fd.get()) != 0) {
    status = file_error(file, errno);
  } else {
    status = put_in_place(beside, file, replace);
  }
  if (!status.ok() || !replace) {
    ::unlink(beside.c_str());
  }
  return status.ok() ? sync_folder(file) : status;
}

absl::Status about_identity(const std::filesystem::path& file, const absl::Status& status) {
  return {status.code(), absl::StrCat(quoted(file), status.message())};
}

}  // namespace simplon::overlay
