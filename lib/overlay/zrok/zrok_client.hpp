// The REST calls of a zrok instance: an account's token makes this host an environment, which then
// shares services and accesses those of others.
//
// Ownership: shared with its calls under way. Everything is for its loop. The token is in no log
// and in no error.
// Cancellation: close() ends the calls under way, with `closed`.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "net/async.hpp"
#include "overlay/ziti/identity_file.hpp"
#include "overlay/ziti/rest_client.hpp"

namespace simplon::overlay::zrok {

/// An account of an instance.
struct Account {
  std::string endpoint;  ///< "https://zrok.example"; http only to this host
  std::string token;
  bool operator==(const Account&) const = default;
};

/// What makes an agent a member: an environment of an account, and its identity on the OpenZiti
/// network below.
struct Membership {
  Account account;
  std::string environment;  ///< its id on that network ("envZId")
  ziti::IdentityFile identity;
  bool operator==(const Membership&) const = default;
};

/// The identity file of OpenZiti with one more object, "zrok".
std::string to_json(const Membership& membership);
/// Whether it holds that object.
bool is_membership(std::string_view json);
/// INVALID_ARGUMENT and the others of ziti::parse_identity.
absl::StatusOr<Membership> parse_membership(std::string_view json,
                                            const std::filesystem::path& folder);

/// White space around it is ignored. INVALID_ARGUMENT: not an https:// address, or a token that
/// cannot be one.
absl::StatusOr<Account> check_account(Account account);

/// Makes this host an environment. `trust_roots` (PEM): instead of the system's. INVALID_ARGUMENT,
/// PERMISSION_DENIED (the account's token), UNAVAILABLE, DEADLINE_EXCEEDED.
net::awaitable<absl::StatusOr<Membership>> enable(net::Loop* loop, Account account,
                                                  std::string description, net::TimePoint deadline,
                                                  std::string trust_roots = {});
/// Ends the environment, with all its shares and accesses. OK also where it is gone already;
/// PERMISSION_DENIED where the account's token is not valid, so that it stays.
net::awaitable<absl::Status> disable(net::Loop* loop, Membership membership,
                                     net::TimePoint deadline, std::string trust_roots = {});

struct Share {
  std::string token;  ///< what others dial
  std::vector<std::string> urls;
  std::string target;
  bool is_public = false;
};
struct Access {
  std::string frontend;  ///< its own token
  std::string share;
  std::string description;
};

struct NewShare {
  bool is_public = false;
  bool raw = false;  ///< bytes, not HTTP
  std::string name;  ///< private: its token; public: its name in `name_space`; empty: made there
  std::string name_space;
  std::string target;  ///< for people, and by which we know it again
};

class Client {
 public:
  template <class T>
  using Outcome = std::expected<T, ziti::ApiError>;

  static absl::StatusOr<std::shared_ptr<Client>> make(net::Loop& loop, Account account,
                                                      std::string trust_roots);

  net::awaitable<Outcome<Share>> share(std::string environment, NewShare wanted,
                                       net::TimePoint deadline);
  /// Also where it is gone already.
  net::awaitable<Outcome<void>> unshare(std::string environment, std::string share,
                                        net::TimePoint deadline);
  /// The access' own token.
  net::awaitable<Outcome<std::string>> access(std::string environment, std::string share,
                                              std::string description, net::TimePoint deadline);
  net::awaitable<Outcome<void>> unaccess(std::string environment, Access access,
                                         net::TimePoint deadline);
  net::awaitable<Outcome<std::vector<Share>>> shares(std::string environment,
                                                     net::TimePoint deadline);
  net::awaitable<Outcome<std::vector<Access>>> accesses(std::string environment,
                                                        net::TimePoint deadline);
  /// The tokens of the namespaces that the account may use, "public" first where there is one.
  net::awaitable<Outcome<std::vector<std::string>>> name_spaces(net::TimePoint deadline);
  /// Keeps a public name for the account; also where somebody has it already (share() tells then).
  net::awaitable<Outcome<void>> keep_name(std::string name_space, std::string name,
                                          net::TimePoint deadline);

  struct Environment {
    std::string id;
    std::string identity_json;
  };
  net::awaitable<Outcome<Environment>> enable(std::string description, std::string host,
                                              net::TimePoint deadline);
  net::awaitable<Outcome<void>> disable(std::string environment, net::TimePoint deadline);
  /// Whether it is there, and of this account.
  net::awaitable<Outcome<bool>> knows(std::string environment, net::TimePoint deadline);

  void close() { rest_->close(); }
  /// Another client of the same account, for what outlives this one.
  std::shared_ptr<Client> another() const;

 private:
  struct Call;
  Client(std::string endpoint, std::string path, std::string token,
         std::shared_ptr<ziti::RestClient> rest);
  static net::awaitable<Outcome<std::string>> call(std::shared_ptr<ziti::RestClient> rest,
                                                   std::string endpoint, ziti::RestRequest request,
                                                   std::string refused, net::TimePoint deadline);
  net::awaitable<Outcome<std::string>> ask(const char* method, std::string target, std::string body,
                                           const char* refused, net::TimePoint deadline);

  const std::string endpoint_;
  const std::string path_;
  const std::string token_;
  const std::shared_ptr<ziti::RestClient> rest_;
};

}  // namespace simplon::overlay::zrok
