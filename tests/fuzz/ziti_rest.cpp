// Any bytes of a controller are an answer or an error, in one piece, two, or byte by byte; what its
// JSON says is bounded, whatever it is; an identity that is read is written and read the same.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "overlay/ziti/identity_file.hpp"
#include "overlay/ziti/rest_values.hpp"

namespace {

using namespace simplon::overlay::ziti;

void read_all(const nlohmann::json& data) {
  std::string unanswered;
  const std::chrono::system_clock::time_point now{std::chrono::seconds(1'000'000'000)};
  (void)read_version(data);
  const auto login = read_login(data, now, &unanswered);
  if (login && (login->lifetime.count() < 1 || login->session.token.empty())) std::abort();
  (void)read_tokens(data, now);
  (void)read_services(data);
  (void)read_session(data);
  for (const auto& router : read_routers(data)) {
    if (router.endpoint.host.empty() || router.endpoint.port == 0) std::abort();
  }
}

void read_byte_by_byte(std::string_view text) {
  AnswerReader reader;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto got = reader.put(text.substr(i, 1));
    if (!got || *got) return;
  }
  (void)reader.end();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t cut = data[0] % size;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  read_byte_by_byte(text);
  AnswerReader reader;
  auto got = reader.put(text.substr(0, cut));
  if (got && !*got) got = reader.put(text.substr(std::min(cut, text.size())));
  if (got && !*got && reader.end()) got = true;
  if (got && *got) {
    const RestAnswer answer = reader.take();
    const auto envelope = read_envelope(answer, "https://controller");
    if (envelope) {
      read_all(*envelope);
    } else if (envelope.error().words.empty() || envelope.error().words.size() > 4096) {
      std::abort();
    }
  }
  const auto json = parse_json(text);
  read_all(json);
  (void)query_parameter(text, "code");
  (void)read_time(text);
  if (const auto identity = parse_identity(text, {}); identity.ok()) {
    const auto again = parse_identity(to_json(*identity), {});
    if (!again.ok() || *again != *identity) std::abort();
  }
  return 0;
}
