#include "http/via.hpp"

#include "http/text.hpp"

namespace simplon::http {
namespace {

// Of `[name/]version received-by [comment]`. A comma inside a comment cuts it in two, of which
// neither part can be taken for the pseudonym of a tunnel, which has no parentheses.
std::string_view received_by(std::string_view member) {
  const std::size_t space = member.find_first_of(" \t");
  if (space == std::string_view::npos) {
    return {};
  }
  const std::string_view rest = trim(member.substr(space));
  return rest.substr(0, rest.find_first_of(" \t"));
}

}  // namespace

bool has_passed(const RequestHead& head, std::string_view pseudonym) {
  bool found = false;
  for (const Field field : head.fields) {
    if (field.id == Name::via) {
      for_each_member(field.value, [&](std::string_view member) {
        found = found || iequals(received_by(member), pseudonym);
      });
    }
  }
  return found;
}

void append_via(std::string& out, const RequestHead& head, std::string_view pseudonym) {
  out.append("Via: 1.").append(head.minor == 0 ? "0 " : "1 ").append(pseudonym).append("\r\n");
}

}  // namespace simplon::http
