// An answer of a controller's REST API: HTTP/1.1 as bytes, then the JSON envelope, or what is wrong
// with it in words that a person can act on.
//
// Bounds: heads 64 KiB, bodies 4 MiB, JSON 32 deep. Pure; any thread.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "overlay/ziti/edge_message.hpp"

namespace simplon::overlay::ziti {

inline constexpr std::size_t kMaxAnswerBody = 4 * 1024 * 1024;
inline constexpr std::uint32_t kMaxAnswerHead = 64 * 1024;

struct RestAnswer {
  unsigned status = 0;
  std::string content_type;  ///< lower case
  std::string location;
  std::string date;
  std::string body;
  bool keep_alive = false;
};

/// Reads one answer from bytes as they come. Informational ones (1xx) are skipped.
class AnswerReader {
 public:
  AnswerReader();
  ~AnswerReader();
  AnswerReader(const AnswerReader&) = delete;
  AnswerReader& operator=(const AnswerReader&) = delete;

  /// True once the answer is whole. protocol_error, limit_exceeded.
  base::Result<bool> put(std::string_view bytes);
  /// The connection has ended: whole, where an answer may end so. truncated otherwise.
  base::Result<void> end();
  /// After it is whole.
  RestAnswer take();

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

/// Why a call of the API failed.
struct ApiError {
  unsigned status = 0;   ///< HTTP; 0: no answer
  std::error_code code;  ///< the kind of failure, as base::Errc
  std::string name;      ///< the controller's own: "UNAUTHORIZED"
  std::string words;     ///< what happened and what to do; printable, at most 1 KiB

  bool unauthorized() const { return status == 401; }
  /// Another try, or another controller, may help.
  bool passing() const { return status == 0 || status == 429 || status >= 500; }
};

using ApiResult = std::expected<nlohmann::json, ApiError>;

/// `data` of the envelope, or why there is none. `url` is named in what is wrong. `whole`: not
/// `data` alone but the whole object.
ApiResult read_envelope(const RestAnswer& answer, std::string_view url, bool whole = false);

/// JSON of a bounded depth; discarded if it is none.
nlohmann::json parse_json(std::string_view text);

/// Of an object; empty: absent, or no text.
std::string text_at(const nlohmann::json& object, const char* key);

}  // namespace simplon::overlay::ziti
