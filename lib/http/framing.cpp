#include "http/framing.hpp"

#include "http/text.hpp"
#include "http/upgrade.hpp"

namespace simplon::http {
namespace {

struct Delimiters {
  bool chunked = false;
  std::optional<std::uint64_t> length;
};

// Exactly one `Transfer-Encoding: chunked`, or Content-Length fields that all say the same.
std::expected<Delimiters, Verdict> delimiters(const Fields& fields, int minor) {
  Delimiters found;
  for (const Field field : fields) {
    if (field.id == Name::transfer_encoding) {
      if (minor == 0) {
        return std::unexpected(Verdict{400, "transfer_encoding_in_http_1_0"});
      }
      if (found.chunked) {
        return std::unexpected(Verdict{400, "bad_transfer_encoding"});
      }
      if (!iequals(field.value, "chunked")) {
        return std::unexpected(Verdict{501, "transfer_encoding_not_supported"});
      }
      found.chunked = true;
    } else if (field.id == Name::content_length) {
      // "2, 2" is a list that some intermediary made of repeated fields (RFC 9112 §6.3).
      std::string_view rest = field.value;
      for (bool more = true; more;) {
        const std::size_t comma = rest.find(',');
        more = comma != std::string_view::npos;
        const auto length = parse_decimal(trim(rest.substr(0, comma)));
        if (!length || (found.length && *found.length != *length)) {
          return std::unexpected(Verdict{400, "bad_content_length"});
        }
        found.length = length;
        rest = more ? rest.substr(comma + 1) : std::string_view{};
      }
    }
  }
  if (found.chunked && found.length) {
    return std::unexpected(Verdict{400, "content_length_with_transfer_encoding"});
  }
  return found;
}

bool names_too_many_options(const Fields& fields) {
  std::size_t named = 0;
  for (const Field field : fields) {
    if (field.id == Name::connection) {
      for_each_member(field.value, [&named](std::string_view) { ++named; });
    }
  }
  return named > kMostConnectionOptions;
}

bool persists(const Fields& fields, int minor) {
  if (fields.lists(Name::connection, "close")) {
    return false;
  }
  return minor >= 1 || fields.lists(Name::connection, "keep-alive");
}

}  // namespace

std::expected<RequestFraming, Verdict> frame_request(const RequestHead& head,
                                                     const Limits& limits) {
  // CONNECT would make an open proxy of us; TRACE shows the client what proxies added.
  if (head.method == "CONNECT" || head.method == "TRACE" || head.method == "TRACK") {
    return std::unexpected(Verdict{405, "method_not_allowed"});
  }
  const auto found = delimiters(head.fields, head.minor);
  if (!found) {
    return std::unexpected(found.error());
  }
  if (names_too_many_options(head.fields)) {
    return std::unexpected(Verdict{400, "too_many_connection_options"});
  }
  RequestFraming framing;
  framing.keep_alive = persists(head.fields, head.minor);
  if (found->chunked) {
    framing.body = BodyKind::chunked;
  } else if (found->length) {
    framing.body = BodyKind::length;
    framing.length = *found->length;
    if (limits.body_bytes && framing.length > *limits.body_bytes) {
      return std::unexpected(Verdict{413, "body_too_large"});
    }
  }
  framing.trailers = head.fields.lists(Name::te, "trailers");
  if (const auto expect = head.fields.find(Name::expect); expect && head.minor >= 1) {
    if (!iequals(*expect, "100-continue") || head.fields.count(Name::expect) != 1) {
      return std::unexpected(Verdict{417, "expectation_failed"});
    }
    framing.continues = true;
  }
  framing.upgrade = wants_websocket(head);
  if (framing.upgrade && (framing.body == BodyKind::chunked || framing.length > 0)) {
    // The bytes behind the head would be body to one reader and frames to another.
    return std::unexpected(Verdict{400, "upgrade_with_body"});
  }
  return framing;
}

std::expected<ResponseFraming, Verdict> frame_response(const ResponseHead& head, Asked asked) {
  ResponseFraming framing;
  if (names_too_many_options(head.fields)) {
    return std::unexpected(Verdict{502, "too_many_connection_options"});
  }
  if (head.status == 101) {
    if (!asked.upgrade || !switches_to_websocket(head)) {
      return std::unexpected(Verdict{502, "unasked_upgrade"});
    }
    framing.switched = true;
    return framing;
  }
  if (head.status / 100 == 1) {
    framing.interim = true;
    framing.keep_alive = true;
    return framing;
  }
  const auto found = delimiters(head.fields, head.minor);
  if (!found) {
    return std::unexpected(Verdict{502, found.error().reason});
  }
  framing.keep_alive = persists(head.fields, head.minor);
  if (asked.head || bodiless(head.status)) {
    return framing;
  }
  if (head.status == 205) {
    // It has no content (RFC 9110 §15.3.6). Where the origin frames some, nobody reads on.
    framing.body = BodyKind::length;
    framing.keep_alive = framing.keep_alive && found->length == 0U;
  } else if (found->chunked) {
    framing.body = BodyKind::chunked;
  } else if (found->length) {
    framing.body = BodyKind::length;
    framing.length = *found->length;
  } else {
    framing.body = BodyKind::until_close;
    framing.keep_alive = false;
  }
  return framing;
}

}  // namespace simplon::http
