#include "overlay/embedded/open.hpp"

#include <algorithm>
#include <utility>

#include "base/printable.hpp"
#include "overlay/embedded/session_codes.hpp"
#include "simplon/link/v1/link.pb.h"

namespace simplon::overlay {
namespace {

using base::Errc;
using base::Hop;
using base::Result;
namespace wire = simplon::link::v1;

constexpr std::size_t kMaxConnectionId = 64;
constexpr std::size_t kMaxOnBehalfOf = 256;
constexpr std::size_t kMaxDetail = 1024;

// Both go into log lines.
bool printable(std::string_view text, std::size_t longest) {
  return text.size() <= longest &&
         std::ranges::all_of(text, [](char c) { return c >= 0x20 && c <= 0x7e; });
}

bool valid(const OpenRequest& request) {
  return valid_service_name(request.service) &&
         printable(request.connection_id, kMaxConnectionId) &&
         printable(request.on_behalf_of, kMaxOnBehalfOf);
}

wire::Open::Kind to_wire_kind(StreamKind kind) {
  switch (kind) {
    case StreamKind::http:
      return wire::Open::KIND_HTTP;
    case StreamKind::raw:
      return wire::Open::KIND_RAW;
    case StreamKind::probe:
      return wire::Open::KIND_PROBE;
    case StreamKind::control:
      return wire::Open::KIND_CONTROL;
  }
  return wire::Open::KIND_UNSPECIFIED;
}

std::optional<StreamKind> from_wire_kind(wire::Open::Kind kind) {
  switch (kind) {
    case wire::Open::KIND_HTTP:
      return StreamKind::http;
    case wire::Open::KIND_RAW:
      return StreamKind::raw;
    case wire::Open::KIND_PROBE:
      return StreamKind::probe;
    case wire::Open::KIND_CONTROL:
      return StreamKind::control;
    default:
      return std::nullopt;
  }
}

wire::Status::Hop to_wire_hop(Hop hop) {
  switch (hop) {
    case Hop::target:
      return wire::Status::HOP_TARGET;
    case Hop::overlay:
    case Hop::hub:
      return wire::Status::HOP_OVERLAY;
    default:
      return wire::Status::HOP_SHARE;
  }
}

Hop from_wire_hop(wire::Status::Hop hop) {
  switch (hop) {
    case wire::Status::HOP_TARGET:
      return Hop::target;
    case wire::Status::HOP_OVERLAY:
      return Hop::overlay;
    default:
      return Hop::share;
  }
}

std::string with_length(const google::protobuf::MessageLite& message) {
  const std::string body = message.SerializeAsString();
  std::string out{static_cast<char>(body.size() >> 8), static_cast<char>(body.size() & 0xff)};
  return out += body;
}

template <class Message>
bool parse(Message& message, std::span<const std::byte> bytes) {
  return bytes.size() <= kMaxOpenMessage &&
         message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

}  // namespace

OpenRequest open_request(const DialOptions& options) {
  return {.service = options.service,
          .kind = options.kind,
          .connection_id = options.connection_id,
          .on_behalf_of = options.on_behalf_of,
          .frontend = options.frontend};
}

Result<std::string> encode_open(const OpenRequest& request) {
  if (!valid(request)) {
    return base::fail(Errc::invalid_argument);
  }
  wire::Open open;
  open.set_service(request.service);
  open.set_kind(to_wire_kind(request.kind));
  open.set_connection_id(request.connection_id);
  open.set_on_behalf_of(request.on_behalf_of);
  open.set_frontend(request.frontend);
  return with_length(open);
}

Result<OpenRequest> decode_open(std::span<const std::byte> message) {
  wire::Open open;
  if (!parse(open, message)) {
    return base::fail(Errc::protocol_error);
  }
  const auto kind = from_wire_kind(open.kind());
  OpenRequest request{.service = open.service(),
                      .kind = kind.value_or(StreamKind::http),
                      .connection_id = open.connection_id(),
                      .on_behalf_of = open.on_behalf_of(),
                      .frontend = open.frontend()};
  if (!kind || !valid(request)) {
    return base::fail(Errc::protocol_error);
  }
  return request;
}

std::string encode_accept() { return with_length(wire::Status()); }

std::string encode_refusal(const Refusal& refusal) {
  const std::uint32_t code = to_wire(refusal.failure.code);
  wire::Status status;
  // 0 would be an acceptance.
  status.set_code(code == kNoReason ? to_wire(base::make_error_code(Errc::host_refused)) : code);
  status.set_hop(to_wire_hop(refusal.failure.hop));
  status.set_detail(base::printable(refusal.failure.detail, kMaxDetail));
  status.set_not_processed(refusal.not_processed);
  return with_length(status);
}

Result<std::optional<Refusal>> decode_status(std::span<const std::byte> message) {
  wire::Status status;
  if (!parse(status, message)) {
    return base::fail(Errc::protocol_error);
  }
  if (status.code() == 0) {
    return std::optional<Refusal>();
  }
  const Errc code = from_wire(status.code());
  return Refusal{.failure = {.hop = from_wire_hop(status.hop()),
                             // A reason of a newer peer is still its refusal.
                             .code = code == Errc::reset ? Errc::host_refused : code,
                             .detail = base::printable(status.detail(), kMaxDetail)},
                 .not_processed = status.not_processed()};
}

std::span<std::byte> MessageReader::room() {
  return have_prefix_ < prefix_.size() ? std::span(prefix_).subspan(have_prefix_)
                                       : std::span(body_).subspan(filled_);
}

Result<void> MessageReader::filled(std::size_t count) {
  if (have_prefix_ == prefix_.size()) {
    filled_ += count;
    return {};
  }
  have_prefix_ += count;
  if (have_prefix_ == prefix_.size()) {
    const std::size_t size =
        std::to_integer<std::size_t>(prefix_[0]) << 8 | std::to_integer<std::size_t>(prefix_[1]);
    if (size > kMaxOpenMessage) {
      return base::fail(Errc::protocol_error);
    }
    body_.resize(size);
  }
  return {};
}

Result<bool> MessageReader::read(net::Stream& stream) {
  while (!done()) {
    const auto got = stream.try_read(room());
    if (!got && got.error() == Errc::would_block) {
      return false;
    }
    if (!got) {
      return std::unexpected(got.error());
    }
    if (*got == 0) {
      return base::fail(Errc::truncated);
    }
    if (const auto taken = filled(*got); !taken) {
      return std::unexpected(taken.error());
    }
  }
  return true;
}

Result<std::size_t> MessageReader::feed(std::span<const std::byte> bytes) {
  std::size_t used = 0;
  while (!done() && used < bytes.size()) {
    const auto into = room();
    const std::size_t count = std::min(into.size(), bytes.size() - used);
    std::ranges::copy(bytes.subspan(used, count), into.begin());
    used += count;
    if (const auto taken = filled(count); !taken) {
      return std::unexpected(taken.error());
    }
  }
  return used;
}

}  // namespace simplon::overlay
