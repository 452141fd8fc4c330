#include "agent/overlay_source.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include "overlay/identity_text.hpp"
#include "overlay/ziti/enroll_client.hpp"

namespace simplon::agent {
namespace {

using Obtained = absl::StatusOr<overlay::Membership>;

Obtained widened(auto obtained) {
  return obtained.ok() ? Obtained(std::move(*obtained)) : Obtained(obtained.status());
}

net::awaitable<Obtained> by_invitation(net::Loop* loop, overlay::Token token) {
  const auto deadline = loop->now() + overlay::kEnrollDeadline;
  auto identity = co_await overlay::enroll(*loop, std::move(token), deadline);
  co_return widened(std::move(identity));
}

net::awaitable<Obtained> by_enrollment(net::Loop* loop, ZitiEnrollment enrollment,
                                       std::filesystem::path staged) {
  overlay::ziti::EnrollOptions options{
      .key = std::move(enrollment.private_key),
      .certificate = std::move(enrollment.certificate),
      .keep_key = [staged = std::move(staged)](const std::string& key) {
        const nlohmann::json object = {{"id", {{"key", "pem:" + key}}}};
        return overlay::write_identity_text(object.dump(2) + "\n", staged, true);
      }};
  auto identity = co_await overlay::ziti::enroll(
      loop, std::move(enrollment.jwt), std::move(options), loop->now() + kZitiEnrollDeadline);
  co_return widened(std::move(identity));
}

net::awaitable<Obtained> by_account(net::Loop* loop, ZrokAccount zrok) {
  const auto deadline = loop->now() + kZrokEnableDeadline;
  auto membership = co_await overlay::zrok::enable(loop, std::move(zrok.account),
                                                   std::move(zrok.description), deadline);
  co_return widened(std::move(membership));
}

}  // namespace

net::awaitable<Obtained> obtain(net::Loop* loop, Source source, std::filesystem::path staged) {
  if (auto* token = std::get_if<overlay::Token>(&source)) {
    co_return co_await by_invitation(loop, std::move(*token));
  }
  if (auto* enrollment = std::get_if<ZitiEnrollment>(&source)) {
    co_return co_await by_enrollment(loop, std::move(*enrollment), std::move(staged));
  }
  if (auto* zrok = std::get_if<ZrokAccount>(&source)) {
    co_return co_await by_account(loop, std::move(*zrok));
  }
  co_return std::get<overlay::Membership>(std::move(source));
}

}  // namespace simplon::agent
