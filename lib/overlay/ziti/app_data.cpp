#include "overlay/ziti/app_data.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace simplon::overlay::ziti {
namespace {

constexpr int kVersion = 1;
constexpr std::size_t kMaxConnectionId = 64;
constexpr std::size_t kMaxOnBehalfOf = 256;

// Both go into log lines.
bool printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= 0x20 && c <= 0x7e; });
}

std::string cut(const std::string& text, std::size_t longest) {
  return printable(text) ? text.substr(0, longest) : std::string();
}

std::optional<StreamKind> kind_of(std::string_view name) {
  for (const StreamKind kind :
       {StreamKind::http, StreamKind::raw, StreamKind::probe, StreamKind::control}) {
    if (name == to_string(kind)) {
      return kind;
    }
  }
  return std::nullopt;
}

// Absent is empty; false: it is something else than a short printable text.
bool take(const nlohmann::json& from, const char* key, std::size_t longest, std::string& to) {
  const auto found = from.find(key);
  if (found == from.end()) {
    return true;
  }
  const auto* text = found->get_ptr<const std::string*>();
  if (text == nullptr || text->size() > longest || !printable(*text)) {
    return false;
  }
  to = *text;
  return true;
}

}  // namespace

std::string encode_app_data(const AppData& data) {
  nlohmann::json out = {{"simplon", kVersion},
                        {"kind", std::string(to_string(data.kind))},
                        {"id", cut(data.connection_id, kMaxConnectionId)}};
  if (auto who = cut(data.on_behalf_of, kMaxOnBehalfOf); !who.empty()) {
    out["for"] = std::move(who);
  }
  if (data.frontend) {
    out["frontend"] = true;
  }
  return out.dump();
}

std::optional<AppData> decode_app_data(std::string_view text) {
  if (text.empty() || text.size() > kMaxAppData) {
    return std::nullopt;
  }
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) {
    return std::nullopt;
  }
  const auto version = json.find("simplon");
  if (version == json.end() || !version->is_number_integer() || *version != kVersion) {
    return std::nullopt;
  }
  std::string kind;
  AppData out;
  if (!take(json, "kind", kMaxConnectionId, kind) ||
      !take(json, "id", kMaxConnectionId, out.connection_id) ||
      !take(json, "for", kMaxOnBehalfOf, out.on_behalf_of)) {
    return std::nullopt;
  }
  const auto known = kind_of(kind);
  if (!known) {
    return std::nullopt;
  }
  out.kind = *known;
  if (const auto frontend = json.find("frontend"); frontend != json.end()) {
    if (!frontend->is_boolean()) {
      return std::nullopt;
    }
    out.frontend = frontend->get<bool>();
  }
  return out;
}

}  // namespace simplon::overlay::ziti
