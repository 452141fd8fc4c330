#include "http/upgrade.hpp"

#include "http/text.hpp"

namespace simplon::http {

bool wants_websocket(const RequestHead& head) {
  return head.method == "GET" && head.minor >= 1 &&
         head.fields.lists(Name::connection, "upgrade") &&
         head.fields.lists(Name::upgrade, "websocket");
}

bool switches_to_websocket(const ResponseHead& head) {
  const auto upgrade = head.fields.find(Name::upgrade);
  return head.status == 101 && head.minor >= 1 && upgrade && iequals(*upgrade, "websocket") &&
         head.fields.count(Name::upgrade) == 1 && head.fields.lists(Name::connection, "upgrade");
}

}  // namespace simplon::http
