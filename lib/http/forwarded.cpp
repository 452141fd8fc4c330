#include "http/forwarded.hpp"

#include <algorithm>

#include "http/text.hpp"
#include "net/address_range.hpp"

namespace simplon::http {
namespace {

bool is_unquoted(char c) {
  // A token, and what many write without the quotes that RFC 7239 §6 asks for.
  return is_token_char(c) || c == ':' || c == '[' || c == ']' || c == '/' || c == '@';
}

void skip_blanks(std::string_view& rest) {
  while (!rest.empty() && (rest.front() == ' ' || rest.front() == '\t')) {
    rest.remove_prefix(1);
  }
}

// Takes the text up to the first character that is not of it.
template <class Of>
std::string_view take(std::string_view& rest, Of of) {
  const auto end = std::ranges::find_if_not(rest, of);
  const std::string_view taken(rest.begin(), end);
  rest.remove_prefix(taken.size());
  return taken;
}

// No node, host or scheme has one of these, and simpler readers would see another element there.
bool is_quoted(char c) { return c != '"' && c != '\\' && c != ',' && c != ';'; }

std::optional<std::string_view> take_value(std::string_view& rest) {
  if (!rest.starts_with('"')) {
    return take(rest, is_unquoted);
  }
  rest.remove_prefix(1);
  const std::string_view inside = take(rest, is_quoted);
  if (!rest.starts_with('"')) {
    return std::nullopt;
  }
  rest.remove_prefix(1);
  return inside;
}

// False for a parameter that came before.
bool keep(ForwardedElement& element, std::string_view name, std::string_view value) {
  std::string_view* const to = iequals(name, "for")     ? &element.node
                               : iequals(name, "host")  ? &element.host
                               : iequals(name, "proto") ? &element.proto
                                                        : nullptr;
  if (to == nullptr) {
    return true;
  }
  const bool first = to->data() == nullptr;
  *to = value;
  return first;
}

// [ pair ] *( ";" [ pair ] ), up to a comma or the end.
std::optional<ForwardedElement> take_element(std::string_view& rest) {
  skip_blanks(rest);
  const char* const begin = rest.data();
  ForwardedElement element;
  for (;;) {
    skip_blanks(rest);
    if (const std::string_view name = take(rest, is_token_char); !name.empty()) {
      if (!rest.starts_with('=')) {
        return std::nullopt;
      }
      rest.remove_prefix(1);
      const auto value = take_value(rest);
      if (!value || !keep(element, name, *value)) {
        return std::nullopt;
      }
    }
    skip_blanks(rest);
    if (!rest.starts_with(';')) {
      break;
    }
    rest.remove_prefix(1);
  }
  element.text = trim({begin, static_cast<std::size_t>(rest.data() - begin)});
  return element;
}

}  // namespace

std::optional<std::vector<ForwardedElement>> forwarded_of(const Fields& fields) {
  std::vector<ForwardedElement> out;
  for (const Field field : fields) {
    if (field.id != Name::forwarded) {
      continue;
    }
    for (std::string_view rest = field.value; !rest.empty();) {
      const auto element = take_element(rest);
      if (!element || !(rest.empty() || rest.front() == ',')) {
        return std::nullopt;
      }
      rest.remove_prefix(rest.empty() ? 0 : 1);
      if (!element->text.empty()) {
        out.push_back(*element);
      }
    }
  }
  return out;
}

std::string address_of(std::string_view node) {
  if (node.starts_with('[')) {
    node = node.substr(1, node.find(']') - 1);
  } else if (std::ranges::count(node, ':') == 1) {
    node = node.substr(0, node.find(':'));
  }
  const auto address = net::AddressRange::parse(node);
  return address && node.find('/') == std::string_view::npos ? address->text() : "unknown";
}

}  // namespace simplon::http
