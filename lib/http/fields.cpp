#include "http/head.hpp"
#include "http/text.hpp"

namespace simplon::http {
namespace {

struct Known {
  std::string_view text;
  Name id;
};

constexpr Known kKnown[] = {
    {"accept", Name::accept},
    {"authorization", Name::authorization},
    {"connection", Name::connection},
    {"content-length", Name::content_length},
    {"content-location", Name::content_location},
    {"cookie", Name::cookie},
    {"date", Name::date},
    {"expect", Name::expect},
    {"forwarded", Name::forwarded},
    {"host", Name::host},
    {"http2-settings", Name::http2_settings},
    {"keep-alive", Name::keep_alive},
    {"location", Name::location},
    {"max-forwards", Name::max_forwards},
    {"origin", Name::origin},
    {"proxy-authenticate", Name::proxy_authenticate},
    {"proxy-authorization", Name::proxy_authorization},
    {"proxy-connection", Name::proxy_connection},
    {"referer", Name::referer},
    {"set-cookie", Name::set_cookie},
    {"simplon-error", Name::simplon_error},
    {"te", Name::te},
    {"trailer", Name::trailer},
    {"transfer-encoding", Name::transfer_encoding},
    {"upgrade", Name::upgrade},
    {"via", Name::via},
    {"x-forwarded-for", Name::x_forwarded_for},
    {"x-forwarded-host", Name::x_forwarded_host},
    {"x-forwarded-port", Name::x_forwarded_port},
    {"x-forwarded-proto", Name::x_forwarded_proto},
    {"x-real-ip", Name::x_real_ip},
};

}  // namespace

Name name_of(std::string_view text) noexcept {
  if (text.empty()) {
    return Name::other;
  }
  const char first = lower(text.front());
  for (const Known& known : kKnown) {
    if (known.text.front() == first && iequals(known.text, text)) {
      return known.id;
    }
  }
  return Name::other;
}

Field Fields::operator[](std::size_t index) const {
  const Slot& slot = slots_[index];
  const std::string_view text = text_;
  return {slot.id, text.substr(slot.name, slot.value - slot.name),
          text.substr(slot.value, slot.end - slot.value)};
}

std::optional<std::string_view> Fields::find(Name id) const {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].id == id) {
      return (*this)[i].value;
    }
  }
  return std::nullopt;
}

std::optional<std::string_view> Fields::find(std::string_view name) const {
  for (const Field field : *this) {
    if (iequals(field.name, name)) {
      return field.value;
    }
  }
  return std::nullopt;
}

std::size_t Fields::count(Name id) const {
  std::size_t found = 0;
  for (const Slot& slot : slots_) {
    found += slot.id == id ? 1 : 0;
  }
  return found;
}

bool Fields::lists(Name id, std::string_view token) const {
  for (const Field field : *this) {
    if (field.id == id && list_contains(field.value, token)) {
      return true;
    }
  }
  return false;
}

void Fields::add(Name id, std::string_view name, std::string_view value) {
  Slot slot{};
  slot.id = id;
  slot.name = static_cast<std::uint32_t>(text_.size());
  text_.append(name);
  slot.value = static_cast<std::uint32_t>(text_.size());
  text_.append(value);
  slot.end = static_cast<std::uint32_t>(text_.size());
  slots_.push_back(slot);
}

void Fields::clear() {
  text_.clear();
  slots_.clear();
}

void RequestHead::clear() {
  method.clear();
  target.clear();
  minor = 1;
  fields.clear();
}

void ResponseHead::clear() {
  status = 0;
  reason.clear();
  minor = 1;
  fields.clear();
}

bool parse_field_line(std::string_view line, Fields& fields) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
    return false;
  }
  const std::string_view value = trim(line.substr(colon + 1));
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\t') || byte == 0x7f) {
      return false;
    }
  }
  fields.add(line.substr(0, colon), value);
  return true;
}

}  // namespace simplon::http
