#include "overlay/embedded/identity.hpp"

#include <cerrno>
#include <cstring>
#include <string>

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ids.hpp"
#include "net/endpoint.hpp"
#include "net/socket.hpp"
#include "overlay/embedded/certificate.hpp"

namespace simplon::overlay {
namespace {

using nlohmann::json;

constexpr std::string_view kKind = "simplon-identity";
constexpr int kVersion = 1;
constexpr std::size_t kMaxAddresses = 16;

absl::Status invalid(std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("identity: ", std::string(what)));
}

absl::StatusOr<json> parse_object(std::string_view text) {
  if (text.size() > kMaxIdentityBytes) {
    return invalid("larger than 64 KiB");
  }
  json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) {
    return invalid("not a JSON object");
  }
  return object;
}

bool is_text(const json& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() && at->is_string();
}

absl::StatusOr<IdentityKind> kind_of(const json& object) {
  if (is_text(object, "kind") && object["kind"].get_ref<const std::string&>() == kKind) {
    return IdentityKind::embedded;
  }
  if (is_text(object, "ztAPI") || object.contains("ztAPIs")) {
    return IdentityKind::ziti;
  }
  return invalid("neither of an embedded network nor of OpenZiti");
}

absl::Status read_addresses(const json& object, std::vector<std::string>* into) {
  const auto at = object.find("addresses");
  if (at == object.end() || !at->is_array() || at->empty() || at->size() > kMaxAddresses) {
    return invalid("addresses: 1 to 16 of \"host:port\" are needed");
  }
  for (const json& one : *at) {
    if (!one.is_string()) {
      return invalid("addresses: not a text");
    }
    const auto& text = one.get_ref<const std::string&>();
    const auto endpoint = net::parse_endpoint(text);
    if (!endpoint || endpoint->host.empty() || endpoint->port == 0) {
      return invalid("addresses: not \"host:port\"");
    }
    into->push_back(text);
  }
  return absl::OkStatus();
}

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

absl::StatusOr<IdentityKind> identity_kind(std::string_view text) {
  const auto object = parse_object(text);
  if (!object.ok()) {
    return object.status();
  }
  return kind_of(*object);
}

absl::StatusOr<IdentityFile> parse_identity(std::string_view text) {
  const auto object = parse_object(text);
  if (!object.ok()) {
    return object.status();
  }
  const auto kind = kind_of(*object);
  if (!kind.ok()) {
    return kind.status();
  }
  if (*kind == IdentityKind::ziti) {
    return absl::UnimplementedError("identity: of an OpenZiti network");
  }
  const auto version = object->find("version");
  if (version == object->end() || !version->is_number_integer() || *version != kVersion) {
    return invalid("version: this program reads version 1");
  }
  IdentityFile identity;
  for (const auto& [key, member] : {std::pair{"name", &IdentityFile::name},
                                    std::pair{"certificate", &IdentityFile::certificate},
                                    std::pair{"private_key", &IdentityFile::private_key},
                                    std::pair{"trust_bundle", &IdentityFile::trust_bundle}}) {
    if (!is_text(*object, key)) {
      return invalid(absl::StrCat(key, ": missing, or not a text"));
    }
    identity.*member = object->find(key)->get<std::string>();
  }
  if (auto status = read_addresses(*object, &identity.addresses); !status.ok()) {
    return status;
  }
  const auto grant = read_certificate(identity.certificate);
  if (!grant) {
    return invalid("certificate: not a member's certificate");
  }
  if (grant->name != identity.name) {
    return invalid("name: not the certificate's");
  }
  if (!key_matches(identity.certificate, identity.private_key)) {
    return invalid("private_key: not the certificate's");
  }
  if (!issued_by(identity.certificate, identity.trust_bundle)) {
    return invalid("trust_bundle: without the root that issued the certificate");
  }
  return identity;
}

std::string to_json(const IdentityFile& identity) {
  const json object = {{"kind", kKind},
                       {"version", kVersion},
                       {"name", identity.name},
                       {"certificate", identity.certificate},
                       {"private_key", identity.private_key},
                       {"trust_bundle", identity.trust_bundle},
                       {"addresses", identity.addresses}};
  return object.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

absl::StatusOr<IdentityFile> load_identity(const std::filesystem::path& file) {
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
  std::string text(kMaxIdentityBytes + 1, '\0');
  const ssize_t size = read_all(fd.get(), text.data(), text.size());
  if (size < 0) {
    return file_error(file, errno);
  }
  text.resize(static_cast<std::size_t>(size));
  auto identity = parse_identity(text);
  if (!identity.ok()) {
    return absl::Status(identity.status().code(),
                        absl::StrCat(quoted(file), identity.status().message()));
  }
  return identity;
}

absl::Status save_identity(const IdentityFile& identity, const std::filesystem::path& file,
                           bool replace) {
  std::filesystem::path beside = file;
  beside += "." + base::new_id() + ".new";
  net::Fd fd(::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) {
    return file_error(file, errno);
  }
  absl::Status status;
  if (!write_all(fd.get(), to_json(identity)) || ::fsync(fd.get()) != 0) {
    status = file_error(file, errno);
  } else {
    status = put_in_place(beside, file, replace);
  }
  if (!status.ok() || !replace) {
    ::unlink(beside.c_str());
  }
  return status.ok() ? sync_folder(file) : status;
}

}  // namespace simplon::overlay
