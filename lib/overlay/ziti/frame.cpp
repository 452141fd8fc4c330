#include "overlay/ziti/frame.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace simplon::overlay::ziti {
namespace {

constexpr std::array kMagic{std::byte{3}, std::byte{6}, std::byte{9}, std::byte{0x0c}};
// A peer that dislikes our magic answers with this and the versions that it speaks.
constexpr std::array kVersions{std::byte{3}, std::byte{6}, std::byte{9}, std::byte{0x0a}};
constexpr std::size_t kHeaderHead = 8;
// A partial frame's buffer of more than this is not kept for the next.
constexpr std::size_t kKeptPartial = 64UL * 1024;

template <class Int>
void put(std::byte* at, Int value) {
  for (std::size_t i = 0; i < sizeof(Int); ++i) {
    at[i] = static_cast<std::byte>(value >> (8 * i));
  }
}

std::uint32_t get(const std::byte* at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    value |= std::to_integer<std::uint32_t>(at[i]) << (8 * i);
  }
  return value;
}

struct Lengths {
  std::size_t headers;
  std::size_t body;
  std::size_t total() const { return kFrameHeadSize + headers + body; }
};

// Of at least 4 bytes, the first of a frame.
base::Result<void> check_magic(Bytes bytes) {
  const auto magic = bytes.first<4>();
  if (std::ranges::equal(magic, kMagic)) {
    return {};
  }
  return base::fail(std::ranges::equal(magic, kVersions) ? base::Errc::other_version
                                                         : base::Errc::protocol_error);
}

// Of a whole head.
base::Result<Lengths> lengths_of(Bytes head) {
  const Lengths lengths{.headers = get(&head[12]), .body = get(&head[16])};
  if (lengths.headers > kMaxFrameHeaders || lengths.body > kMaxFrameBody) {
    return base::fail(base::Errc::protocol_error);
  }
  return lengths;
}

}  // namespace

std::optional<Bytes> FrameView::header(std::int32_t id) const {
  for (Bytes rest = headers_; !rest.empty();) {
    const std::size_t size = get(&rest[4]);
    if (get(rest.data()) == static_cast<std::uint32_t>(id)) {
      return rest.subspan(kHeaderHead, size);
    }
    rest = rest.subspan(kHeaderHead + size);
  }
  return std::nullopt;
}

std::optional<std::uint32_t> FrameView::number(std::int32_t id) const {
  const auto value = header(id);
  return value && value->size() == 4 ? std::optional(get(value->data())) : std::nullopt;
}

std::string_view FrameView::string(std::int32_t id) const {
  const auto value = header(id);
  return value ? std::string_view(reinterpret_cast<const char*>(value->data()), value->size())
               : std::string_view();
}

bool FrameView::flag(std::int32_t id) const {
  const auto value = header(id);
  return value && value->size() == 1 && value->front() == std::byte{1};
}

bool check_headers(Bytes headers) {
  while (!headers.empty()) {
    if (headers.size() < kHeaderHead || get(&headers[4]) > headers.size() - kHeaderHead) {
      return false;
    }
    headers = headers.subspan(kHeaderHead + get(&headers[4]));
  }
  return true;
}

FrameWriter::FrameWriter(std::vector<std::byte>& to, std::int32_t content, std::int32_t sequence)
    : to_(to), begin_(to.size()) {
  to_.resize(begin_ + kFrameHeadSize);
  std::ranges::copy(kMagic, to_.begin() + static_cast<std::ptrdiff_t>(begin_));
  put(&to_[begin_ + 4], static_cast<std::uint32_t>(content));
  put(&to_[begin_ + 8], static_cast<std::uint32_t>(sequence));
}

FrameWriter& FrameWriter::header(std::int32_t id, Bytes value) {
  const std::size_t at = to_.size();
  to_.resize(at + kHeaderHead);
  put(&to_[at], static_cast<std::uint32_t>(id));
  put(&to_[at + 4], static_cast<std::uint32_t>(value.size()));
  to_.insert(to_.end(), value.begin(), value.end());
  return *this;
}

FrameWriter& FrameWriter::u8(std::int32_t id, std::uint8_t value) {
  const std::byte byte{value};
  return header(id, Bytes(&byte, 1));
}

FrameWriter& FrameWriter::u16(std::int32_t id, std::uint16_t value) {
  std::array<std::byte, 2> bytes{};
  put(bytes.data(), value);
  return header(id, bytes);
}

FrameWriter& FrameWriter::u32(std::int32_t id, std::uint32_t value) {
  std::array<std::byte, 4> bytes{};
  put(bytes.data(), value);
  return header(id, bytes);
}

FrameWriter& FrameWriter::u64(std::int32_t id, std::uint64_t value) {
  std::array<std::byte, 8> bytes{};
  put(bytes.data(), value);
  return header(id, bytes);
}

std::span<std::byte> FrameWriter::body(std::size_t size) {
  const std::size_t at = to_.size();
  put(&to_[begin_ + 12], static_cast<std::uint32_t>(at - begin_ - kFrameHeadSize));
  put(&to_[begin_ + 16], static_cast<std::uint32_t>(size));
  to_.resize(at + size);
  return std::span(to_).subspan(at);
}

void FrameWriter::body(Bytes bytes) {
  const std::size_t at = to_.size();
  body(0);
  put(&to_[begin_ + 16], static_cast<std::uint32_t>(bytes.size()));
  to_.insert(to_.begin() + static_cast<std::ptrdiff_t>(at), bytes.begin(), bytes.end());
}

void FrameWriter::body_u32(std::uint32_t value) { put(body(sizeof value).data(), value); }

base::Result<void> FrameParser::feed(std::span<std::byte> bytes, FrameSink& sink) {
  const auto hand_out = [&sink](std::span<std::byte> whole, const Lengths& lengths) {
    const Bytes headers = whole.subspan(kFrameHeadSize, lengths.headers);
    if (!check_headers(headers)) {
      return base::Result<bool>(base::fail(base::Errc::protocol_error));
    }
    return base::Result<bool>(sink.frame(FrameView(
        static_cast<std::int32_t>(get(&whole[4])), static_cast<std::int32_t>(get(&whole[8])),
        headers, whole.subspan(kFrameHeadSize + lengths.headers, lengths.body))));
  };
  // Moves what is missing of `wanted` bytes into partial_.
  const auto complete = [this, &bytes](std::size_t wanted) {
    const auto part = bytes.first(std::min(bytes.size(), wanted - partial_.size()));
    partial_.insert(partial_.end(), part.begin(), part.end());
    bytes = bytes.subspan(part.size());
    return partial_.size() == wanted;
  };

  while (!bytes.empty()) {
    if (partial_.empty() && bytes.size() >= kFrameHeadSize) {
      if (const auto magic = check_magic(bytes); !magic) {
        return magic;
      }
      const auto lengths = lengths_of(bytes);
      if (!lengths) {
        return std::unexpected(lengths.error());
      }
      if (bytes.size() >= lengths->total()) {
        const auto whole = bytes.first(lengths->total());
        bytes = bytes.subspan(whole.size());
        const auto more = hand_out(whole, *lengths);
        if (!more) {
          return std::unexpected(more.error());
        }
        if (!*more) {
          return {};
        }
        continue;
      }
      partial_.reserve(lengths->total());
    }
    // The magic first: an answer about versions is shorter than a head.
    if (partial_.size() < 4) {
      if (!complete(4)) {
        return {};
      }
      if (const auto magic = check_magic(partial_); !magic) {
        return magic;
      }
    }
    if (partial_.size() < kFrameHeadSize && !complete(kFrameHeadSize)) {
      return {};
    }
    const auto lengths = lengths_of(partial_);
    if (!lengths) {
      return std::unexpected(lengths.error());
    }
    partial_.reserve(lengths->total());
    if (partial_.size() < lengths->total() && !complete(lengths->total())) {
      return {};
    }
    // Its own: the sink may end the channel and with it this parser's owner.
    std::vector<std::byte> whole = std::move(partial_);
    partial_.clear();
    const auto more = hand_out(whole, *lengths);
    if (!more) {
      return std::unexpected(more.error());
    }
    if (!*more) {
      return {};
    }
    if (whole.capacity() <= kKeptPartial) {
      whole.clear();
      partial_ = std::move(whole);
    }
  }
  return {};
}

}  // namespace simplon::overlay::ziti
