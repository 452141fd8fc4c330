#include "overlay/embedded/hub_store.hpp"

#include <absl/strings/str_cat.h>

namespace simplon::overlay {
namespace {

using base::Blob;

// PROTOCOL.md, "Enrollment", says what an invitation keeps.
constexpr std::string_view kSteps[] = {R"(
CREATE TABLE hub_root (
  id INTEGER PRIMARY KEY CHECK (id = 1), certificate TEXT NOT NULL, private_key TEXT NOT NULL);
CREATE TABLE hub_member (
  name TEXT PRIMARY KEY, spki BLOB NOT NULL UNIQUE, certificate TEXT NOT NULL,
  frontend INTEGER NOT NULL, own INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE hub_invitation (
  secret_sha256 BLOB PRIMARY KEY, name TEXT NOT NULL, frontend INTEGER NOT NULL,
  expires INTEGER NOT NULL, spki BLOB, certificate TEXT) WITHOUT ROWID;
CREATE TABLE hub_claim (
  service TEXT NOT NULL, spki BLOB NOT NULL, since INTEGER NOT NULL,
  PRIMARY KEY (service, spki)) WITHOUT ROWID;
CREATE INDEX hub_claim_of ON hub_claim (spki);
)"};

std::int64_t seconds_of(HubStore::Time time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

absl::Status name_taken(const std::string& name) {
  return absl::AlreadyExistsError(absl::StrCat("the hub has a member called \"", name,
                                               "\" already, and a name stays its first member's"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<HubStore>> HubStore::open(const std::filesystem::path& file) {
  auto database = base::Database::open(file);
  if (!database.ok()) {
    return database.status();
  }
  std::unique_ptr<HubStore> store(new HubStore(std::move(*database)));
  if (auto status = store->database_->migrate("hub", kSteps); !status.ok()) {
    return status;
  }
  if (auto status = store->load_root(); !status.ok()) {
    return status;
  }
  return store;
}

absl::Status HubStore::load_root() {
  return database_->transaction([this]() -> absl::Status {
    auto select = database_->prepare("SELECT certificate, private_key FROM hub_root");
    const auto found = select.step();
    if (!found.ok()) {
      return found.status();
    }
    if (*found) {
      authority_ = {.certificate = select.text(0), .private_key = select.text(1)};
      return absl::OkStatus();
    }
    auto made = make_authority();
    if (!made) {
      return absl::InternalError("the network's root cannot be made");
    }
    authority_ = std::move(*made);
    return database_->prepare("INSERT INTO hub_root VALUES (1, ?, ?)")
        .run(authority_.certificate, authority_.private_key);
  });
}

absl::StatusOr<std::optional<HubStore::Member>> HubStore::one_member(base::Statement& statement) {
  const auto found = statement.step();
  if (!found.ok()) {
    return found.status();
  }
  if (!*found) {
    return std::optional<Member>();
  }
  return std::optional<Member>(Member{.name = statement.text(0),
                                      .spki = statement.text(1),
                                      .certificate = statement.text(2),
                                      .frontend = statement.integer(3) != 0,
                                      .own = statement.integer(4) != 0});
}

absl::StatusOr<std::optional<HubStore::Member>> HubStore::member_by_key(std::string_view spki) {
  auto select = database_->prepare(
      "SELECT name, spki, certificate, frontend, own FROM hub_member WHERE spki = ?");
  return one_member(select.bind_all(Blob{spki}));
}

absl::StatusOr<std::optional<HubStore::Member>> HubStore::member_by_name(std::string_view name) {
  auto select = database_->prepare(
      "SELECT name, spki, certificate, frontend, own FROM hub_member WHERE name = ?");
  return one_member(select.bind_all(name));
}

absl::StatusOr<std::int64_t> HubStore::count(std::string_view sql) {
  auto select = database_->prepare(sql);
  if (const auto found = select.step(); !found.ok()) {
    return found.status();
  }
  return select.integer(0);
}

absl::StatusOr<bool> HubStore::has_members() {
  const auto found = count("SELECT count(*) FROM hub_member WHERE own = 0");
  if (!found.ok()) {
    return found.status();
  }
  return *found > 0;
}

// Inside a transaction.
absl::Status HubStore::write_member(const Member& member) {
  const auto named = member_by_name(member.name);
  if (!named.ok()) {
    return named.status();
  }
  if (*named && ((*named)->spki != member.spki || (*named)->own != member.own)) {
    return name_taken(member.name);
  }
  const auto keyed = member_by_key(member.spki);
  if (!keyed.ok()) {
    return keyed.status();
  }
  if (*keyed && (*keyed)->name != member.name) {
    return absl::AlreadyExistsError(absl::StrCat("this key is the one of member ", (*keyed)->name));
  }
  return database_->prepare("INSERT OR REPLACE INTO hub_member VALUES (?, ?, ?, ?, ?)")
      .run(member.name, Blob{member.spki}, member.certificate,
           static_cast<std::int64_t>(member.frontend), static_cast<std::int64_t>(member.own));
}

absl::Status HubStore::put_member(const Member& member) {
  return database_->transaction([&] { return write_member(member); });
}

absl::Status HubStore::put_own(const Member& member) {
  return database_->transaction([&]() -> absl::Status {
    auto claims = database_->prepare(
        "UPDATE OR IGNORE hub_claim SET spki = ?1 WHERE spki IN (SELECT spki FROM hub_member WHERE "
        "own = 1)");
    if (auto status = claims.run(Blob{member.spki}); !status.ok()) {
      return status;
    }
    auto forget = database_->prepare("DELETE FROM hub_member WHERE own = 1");
    if (auto status = forget.run(); !status.ok()) {
      return status;
    }
    return write_member(member);
  });
}

absl::Status HubStore::add_invitation(const Invitation& invitation, Time now) {
  return database_->transaction([&]() -> absl::Status {
    const auto named = member_by_name(invitation.name);
    if (!named.ok()) {
      return named.status();
    }
    if (*named) {
      return name_taken(invitation.name);
    }
    auto forget = database_->prepare(
        "DELETE FROM hub_invitation WHERE expires <= ? OR (name = ? AND spki IS NULL)");
    if (auto status = forget.run(seconds_of(now), invitation.name); !status.ok()) {
      return status;
    }
    const auto kept = count("SELECT count(*) FROM hub_invitation");
    if (!kept.ok()) {
      return kept.status();
    }
    if (*kept >= kMaxInvitations) {
      return absl::ResourceExhaustedError("too many open invitations");
    }
    return database_->prepare("INSERT INTO hub_invitation VALUES (?, ?, ?, ?, NULL, NULL)")
        .run(Blob{invitation.secret_sha256}, invitation.name,
             static_cast<std::int64_t>(invitation.frontend), seconds_of(invitation.expires));
  });
}

absl::StatusOr<std::string> HubStore::redeem(std::string_view secret_sha256,
                                             const std::string& spki, Time now,
                                             const Issue& issue) {
  std::string certificate;
  auto done = database_->transaction([&]() -> absl::Status {
    auto select = database_->prepare(
        "SELECT name, frontend, expires, spki, certificate FROM hub_invitation WHERE "
        "secret_sha256 = ?");
    const auto found = select.bind_all(Blob{secret_sha256}).step();
    if (!found.ok()) {
      return found.status();
    }
    if (!*found) {
      return absl::PermissionDeniedError("the hub does not know this token");
    }
    if (select.integer(2) <= seconds_of(now)) {
      return absl::PermissionDeniedError("the token has expired");
    }
    if (!select.is_null(3)) {
      if (select.text(3) != spki) {
        return absl::PermissionDeniedError("the token was used already");
      }
      certificate = select.text(4);
      return absl::OkStatus();
    }
    const std::string name = select.text(0);
    const bool frontend = select.integer(1) != 0;
    select.reset();
    auto issued = issue(name, frontend);
    if (!issued.ok()) {
      return issued.status();
    }
    certificate = *std::move(issued);
    if (auto status = write_member(
            {.name = name, .spki = spki, .certificate = certificate, .frontend = frontend});
        !status.ok()) {
      return status;
    }
    return database_
        ->prepare("UPDATE hub_invitation SET spki = ?, certificate = ? WHERE secret_sha256 = ?")
        .run(Blob{spki}, certificate, Blob{secret_sha256});
  });
  if (!done.ok()) {
    return done;
  }
  return certificate;
}

absl::StatusOr<std::vector<std::string>> HubStore::owners(std::string_view service) {
  auto select = database_->prepare("SELECT spki FROM hub_claim WHERE service = ?");
  select.bind_all(service);
  std::vector<std::string> out;
  while (true) {
    const auto found = select.step();
    if (!found.ok()) {
      return found.status();
    }
    if (!*found) {
      return out;
    }
    out.push_back(select.text(0));
  }
}

absl::Status HubStore::make_room(std::string_view spki, const Hosted& hosted) {
  auto select = database_->prepare("SELECT service FROM hub_claim WHERE spki = ? ORDER BY since");
  select.bind_all(Blob{spki});
  while (true) {
    const auto found = select.step();
    if (!found.ok()) {
      return found.status();
    }
    if (!*found) {
      return absl::ResourceExhaustedError("the member hosts too many names");
    }
    if (const std::string oldest = select.text(0); !hosted(oldest)) {
      select.reset();
      return database_->prepare("DELETE FROM hub_claim WHERE service = ? AND spki = ?")
          .run(oldest, Blob{spki});
    }
  }
}

absl::Status HubStore::claim(std::string_view service, std::string_view spki, Time now,
                             const Hosted& hosted) {
  // What is claimed already needs no commit.
  const auto check = [&]() -> absl::StatusOr<bool> {
    const auto known = owners(service);
    if (!known.ok()) {
      return known.status();
    }
    for (const std::string& owner : *known) {
      if (owner == spki) {
        return true;
      }
    }
    if (!known->empty()) {
      return absl::PermissionDeniedError("the name is claimed by another member");
    }
    return false;
  };
  const auto known = check();
  if (!known.ok() || *known) {
    return known.status();
  }
  return database_->transaction([&]() -> absl::Status {
    if (const auto again = check(); !again.ok() || *again) {
      return again.status();
    }
    auto counting = database_->prepare("SELECT count(*) FROM hub_claim WHERE spki = ?");
    if (const auto found = counting.bind_all(Blob{spki}).step(); !found.ok()) {
      return found.status();
    }
    if (counting.integer(0) >= kMaxClaims) {
      if (auto room = make_room(spki, hosted); !room.ok()) {
        return room;
      }
    }
    return database_->prepare("INSERT INTO hub_claim VALUES (?, ?, ?)")
        .run(service, Blob{spki}, seconds_of(now));
  });
}

}  // namespace simplon::overlay
