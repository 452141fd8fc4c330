#include <algorithm>

#include <boost/beast/http/field.hpp>

#include "http/body.hpp"
#include "http/forwarding.hpp"
#include "http/text.hpp"

namespace simplon::http {

bool may_trail(std::string_view name) {
  using boost::beast::http::field;
  const auto id = boost::beast::http::string_to_field({name.data(), name.size()});
  if (id != field::unknown) {
    // Fields with a meaning in a header. These describe the content, harmlessly, once it is known.
    return id == field::digest || id == field::etag || id == field::content_md5;
  }
  // Of private fields, those that some receiver might merge into the header and act upon.
  constexpr std::string_view kActing[] = {
      "access-control-", "content-", "cf-",        "proxy-",    "sec-",      "simplon-",
      "x-forwarded-",    "x-http",   "x-original", "x-real-ip", "x-rewrite", "x-method",
      "x-auth",          "x-csrf",   "x-api-key",  "remote-",
  };
  if (iequals(name, "content-digest")) {
    return true;
  }
  return name.find('_') == std::string_view::npos && !is_forwarding(name) &&
         std::none_of(std::begin(kActing), std::end(kActing),
                      [name](std::string_view prefix) { return istarts_with(name, prefix); });
}

}  // namespace simplon::http
