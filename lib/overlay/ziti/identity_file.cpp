#include "overlay/ziti/identity_file.hpp"

#include <cerrno>
#include <cstring>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "net/endpoint.hpp"
#include "net/socket.hpp"
#include "overlay/embedded/certificate.hpp"
#include "overlay/ziti/certificate.hpp"

namespace simplon::overlay::ziti {
namespace {

using nlohmann::json;

constexpr std::string_view kPath = "/edge/client/v1";
constexpr std::string_view kScheme = "https://";
constexpr std::uint16_t kHttpsPort = 443;
constexpr std::size_t kMaxControllers = 16;
constexpr std::size_t kMaxUrl = 1024;

absl::Status invalid(std::string_view part, std::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("OpenZiti identity: ", std::string(part), ": ", std::string(what)));
}

absl::Status file_error(const std::filesystem::path& file, int error) {
  const std::string text = absl::StrCat("file ", file.string(), ": ", std::strerror(error));
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError(text);
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(text);
    default:
      return absl::UnavailableError(text);
  }
}

absl::StatusOr<std::string> read_file(const std::filesystem::path& file) {
  // Non-blocking: opening a FIFO must not wait for its writer.
  const net::Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat about{};
  if (!fd || ::fstat(fd.get(), &about) != 0) {
    return file_error(file, errno);
  }
  if (!S_ISREG(about.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat("file ", file.string(), ": not a regular file"));
  }
  std::string text(kMaxIdentityBytes + 1, '\0');
  std::size_t have = 0;
  while (have < text.size()) {
    const ssize_t got = ::read(fd.get(), text.data() + have, text.size() - have);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return file_error(file, errno);
    }
    if (got == 0) {
      break;
    }
    have += static_cast<std::size_t>(got);
  }
  if (have > kMaxIdentityBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("file ", file.string(), ": larger than 256 KiB"));
  }
  text.resize(have);
  return text;
}

// The scheme of a reference, or empty: "file", "pkcs11"; a path may hold a colon after a slash.
std::string_view scheme_of(std::string_view reference) {
  const auto end = reference.find_first_of(":/");
  return end != std::string_view::npos && reference[end] == ':' ? reference.substr(0, end)
                                                                : std::string_view();
}

absl::StatusOr<std::string> dereference(std::string_view part, std::string_view reference,
                                        const std::filesystem::path& folder) {
  if (reference.starts_with("pem:")) {
    return std::string(reference.substr(4));
  }
  if (reference.starts_with("-----BEGIN")) {
    return std::string(reference);
  }
  const std::string_view scheme = scheme_of(reference);
  if (scheme == "file") {
    reference.remove_prefix(5);
    if (reference.starts_with("//")) {
      reference.remove_prefix(2);
    }
  } else if (!scheme.empty()) {
    return absl::UnimplementedError(absl::StrCat(
        "OpenZiti identity: ", std::string(part), ": kept by \"", std::string(scheme.substr(0, 32)),
        "\"; Simplon reads keys and certificates in the file itself or in files beside it, not "
        "from hardware or a key chain"));
  }
  if (folder.empty()) {
    return invalid(part, "refers to a file; put the PEM text into the identity itself");
  }
  if (reference.empty() || reference.find('\0') != std::string_view::npos) {
    return invalid(part, "names no file");
  }
  auto text = read_file(folder / std::filesystem::path(reference));
  if (!text.ok()) {
    return absl::Status(text.status().code(), absl::StrCat("OpenZiti identity: ", std::string(part),
                                                           ": ", text.status().message()));
  }
  return text;
}

absl::Status read_controllers(const json& object, std::vector<std::string>* into) {
  std::vector<std::string> texts;
  if (const auto all = object.find("ztAPIs"); all != object.end() && all->is_array()) {
    for (const json& one : *all) {
      if (!one.is_string() || texts.size() == kMaxControllers) {
        return invalid("ztAPIs", "at most 16 texts");
      }
      texts.push_back(one.get<std::string>());
    }
  }
  if (const auto one = object.find("ztAPI");
      texts.empty() && one != object.end() && one->is_string()) {
    texts.push_back(one->get<std::string>());
  }
  if (texts.empty()) {
    return invalid("ztAPI", "missing: it names no controller");
  }
  for (const std::string& text : texts) {
    auto url = controller_url(text);
    if (!url.ok()) {
      return invalid("ztAPI", std::string(url.status().message()));
    }
    into->push_back(*std::move(url));
  }
  return absl::OkStatus();
}

absl::Status check(const IdentityFile& identity) {
  if (!is_private_key(identity.key)) {
    return invalid("id.key", "not a private key in PEM (or one with a passphrase)");
  }
  if (count_certificates(identity.certificate).value_or(0) == 0) {
    return invalid("id.cert", "not a certificate in PEM");
  }
  if (count_certificates(identity.ca).value_or(0) == 0) {
    return invalid("id.ca", "not certificates in PEM");
  }
  if (!key_matches(identity.certificate, identity.key)) {
    return invalid("id.key", "not the key of the first certificate in id.cert");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> controller_url(std::string_view text) {
  const auto bad = [&](const char* what) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", std::string(text.substr(0, 128)), "\" ", what));
  };
  if (text.size() > kMaxUrl ||
      !absl::StartsWithIgnoreCase({text.data(), text.size()}, "https://")) {
    return bad("is not an https:// address");
  }
  std::string_view rest = text.substr(kScheme.size());
  const auto slash = rest.find('/');
  const std::string_view authority = rest.substr(0, slash);
  std::string_view path = slash == std::string_view::npos ? "" : rest.substr(slash);
  while (path.ends_with('/')) {
    path.remove_suffix(1);
  }
  for (const char c : rest) {
    if (c <= ' ' || c > '~' || c == '?' || c == '#' || c == '@' || c == '\\' || c == '"') {
      return bad("is not the address of a controller: https://host:port");
    }
  }
  const auto bracket = authority.find(']');
  const auto colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  const std::string with_port = colon == std::string_view::npos
                                    ? absl::StrCat(std::string(authority), ":", kHttpsPort)
                                    : std::string(authority);
  const auto endpoint = net::parse_endpoint(with_port);
  if (!endpoint || endpoint->host.empty() || endpoint->port == 0) {
    return bad("is not the address of a controller: https://host:port");
  }
  return absl::StrCat(std::string(kScheme), net::to_string(*endpoint),
                      std::string(path.empty() ? kPath : path));
}

absl::StatusOr<IdentityFile> parse_identity(std::string_view text,
                                            const std::filesystem::path& folder) {
  if (text.size() > kMaxIdentityBytes) {
    return absl::InvalidArgumentError("OpenZiti identity: larger than 256 KiB");
  }
  const json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) {
    return absl::InvalidArgumentError("OpenZiti identity: not a JSON object");
  }
  IdentityFile identity;
  if (auto status = read_controllers(object, &identity.controllers); !status.ok()) {
    return status;
  }
  const auto id = object.find("id");
  if (id == object.end() || !id->is_object()) {
    return invalid("id", "missing");
  }
  for (const auto& [key, member] :
       {std::pair{"key", &IdentityFile::key}, std::pair{"cert", &IdentityFile::certificate},
        std::pair{"ca", &IdentityFile::ca}}) {
    const std::string part = absl::StrCat("id.", key);
    const auto at = id->find(key);
    if (at == id->end() || !at->is_string() || at->get_ref<const std::string&>().empty()) {
      return invalid(part, "missing, or not a text");
    }
    auto pem = dereference(part, at->get_ref<const std::string&>(), folder);
    if (!pem.ok()) {
      return pem.status();
    }
    identity.*member = *std::move(pem);
  }
  if (auto status = check(identity); !status.ok()) {
    return status;
  }
  return identity;
}

std::string to_json(const IdentityFile& identity) {
  const json object = {{"ztAPI", identity.controllers.empty() ? "" : identity.controllers.front()},
                       {"ztAPIs", identity.controllers},
                       {"id",
                        {{"key", "pem:" + identity.key},
                         {"cert", "pem:" + identity.certificate},
                         {"ca", "pem:" + identity.ca}}}};
  return object.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

absl::StatusOr<IdentityFile> load_identity(const std::filesystem::path& file) {
  const auto text = read_file(file);
  if (!text.ok()) {
    return text.status();
  }
  const auto folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
  auto identity = parse_identity(*text, folder);
  if (!identity.ok()) {
    return absl::Status(identity.status().code(),
                        absl::StrCat("file ", file.string(), ": ", identity.status().message()));
  }
  return identity;
}

std::optional<std::string> chain_gap(const IdentityFile& identity) {
  const auto issuer = missing_issuer(identity.certificate, identity.ca);
  if (!issuer) {
    return std::nullopt;
  }
  return absl::StrCat("id.cert comes without the intermediate certificate of its issuer (",
                      issuer->substr(0, 256),
                      "): add it after the identity's own certificate, or enroll again");
}

}  // namespace simplon::overlay::ziti
