// Bodies on the wire: an incremental decoder for every way of delimiting one, and the chunk
// framing that we write (RFC 9112 §7).
//
// The decoder copies nothing: payload is handed out as views of the input, at any split of it.
// Chunk extensions are dropped. Everything that is not exactly the grammar is refused, since
// another reader might see another end of the body.
// Threads: none of their own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>

#include "http/framing.hpp"
#include "http/policy.hpp"

namespace simplon::http {

/// What one step of decoding took from the input.
struct Piece {
  std::size_t consumed = 0;  ///< to be dropped from the input, payload included
  std::string_view payload;  ///< of the body; a view of the input, may be empty
};

class BodyDecoder {
 public:
  BodyDecoder() = default;
  BodyDecoder(BodyKind kind, std::uint64_t length, const Limits& limits);

  /// All of the body (and its trailers) was decoded. Never by itself for until_close.
  bool done() const { return state_ == State::done; }

  /// Takes as much of `in` as belongs to one run of payload. Consuming less than `in` without
  /// being done() means: call again with the rest. Verdicts: 400, 413. After one, no more calls.
  std::expected<Piece, Verdict> decode(std::string_view in);

  /// The input ended. True if the body may end here (until_close).
  bool end_of_input();

  /// After done(): the trailer fields of a chunked body, unfiltered.
  const Fields& trailers() const { return trailers_; }

 private:
  enum class State : std::uint8_t {
    payload,       // remaining_ bytes of a length-delimited body, or of a chunk
    to_the_end,    // until the connection closes
    chunk_end,     // CR LF behind a chunk
    chunk_size,    // hexadecimal digits
    chunk_line,    // extensions up to CR LF
    trailer_line,  // fields up to an empty line
    done,
  };

  std::expected<bool, Verdict> take(char c);
  std::expected<bool, Verdict> end_chunk_line();
  std::expected<bool, Verdict> end_trailer_line();

  State state_ = State::done;
  BodyKind kind_ = BodyKind::none;
  bool got_cr_ = false;
  std::uint8_t digits_ = 0;
  bool quoted_ = false;   // inside a quoted extension value
  bool escaped_ = false;  // behind a backslash there
  std::uint64_t remaining_ = 0;
  std::uint64_t payload_ = 0;
  std::size_t line_bytes_ = 0;
  std::size_t trailer_bytes_ = 0;
  Limits limits_;
  std::string line_;
  Fields trailers_;
};

/// `<size in hex> CR LF` of a chunk, in place.
class ChunkHead {
 public:
  explicit ChunkHead(std::size_t size);
  std::string_view text() const { return {text_.data(), length_}; }

 private:
  std::array<char, 18> text_;
  std::size_t length_ = 0;
};

inline constexpr std::string_view kChunkTail = "\r\n";

/// Whether a trailer field may travel on: none that frames, routes, authenticates or says how to
/// treat the message (RFC 9110 §6.5.1). Of registered fields only those listed in body.cpp.
bool may_trail(std::string_view name);

/// What the owner of a tunnel has decided about fields counts for trailers, too, because servers
/// merge them: those that a rule sets or removes stay behind, and so does the one that is ours
/// alone.
struct TrailerRules {
  std::span<const HeaderRule> rules = {};
  std::string_view ours = {};  ///< empty: none
};

/// Appends the last chunk, the trailers that may travel on, and the empty line.
void append_last_chunk(std::string& out, const Fields& trailers, const TrailerRules& rules = {});

}  // namespace simplon::http
