#include "http/body.hpp"

#include <algorithm>
#include <charconv>

#include "http/header_rules.hpp"
#include "http/text.hpp"

namespace simplon::http {
namespace {

constexpr std::uint8_t kMaxChunkDigits = 16;  // 64 bits; more are zeros that only cost memory

int unhex(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  const char l = lower(c);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

std::unexpected<Verdict> refuse(std::string_view reason) {
  return std::unexpected(Verdict{400, reason});
}

}  // namespace

BodyDecoder::BodyDecoder(BodyKind kind, std::uint64_t length, const Limits& limits)
    : kind_(kind), limits_(limits) {
  switch (kind) {
    case BodyKind::none:
      break;
    case BodyKind::length:
      remaining_ = length;
      state_ = length == 0 ? State::done : State::payload;
      break;
    case BodyKind::chunked:
      state_ = State::chunk_size;
      break;
    case BodyKind::until_close:
      state_ = State::to_the_end;
      break;
  }
}

std::expected<Piece, Verdict> BodyDecoder::decode(std::string_view in) {
  Piece piece;
  while (piece.consumed < in.size() && state_ != State::done) {
    if (state_ == State::payload || state_ == State::to_the_end) {
      std::string_view run = in.substr(piece.consumed);
      if (state_ == State::payload) {
        run = run.substr(0,
                         static_cast<std::size_t>(std::min<std::uint64_t>(run.size(), remaining_)));
        remaining_ -= run.size();
        if (remaining_ == 0) {
          state_ = kind_ == BodyKind::chunked ? State::chunk_end : State::done;
        }
      }
      payload_ += run.size();
      if (limits_.body_bytes && payload_ > *limits_.body_bytes) {
        return std::unexpected(Verdict{413, "body_too_large"});
      }
      piece.payload = run;
      piece.consumed += run.size();
      // The line end behind a chunk goes with it, so that a whole chunk is one piece.
      if (state_ == State::chunk_end && in.substr(piece.consumed).starts_with(kChunkTail)) {
        piece.consumed += kChunkTail.size();
        state_ = State::chunk_size;
      }
      return piece;
    }
    const auto took = take(in[piece.consumed]);
    if (!took) {
      return std::unexpected(took.error());
    }
    ++piece.consumed;
  }
  return piece;
}

// One byte of framing: each state checks it, and counts what it holds unfinished.
std::expected<bool, Verdict> BodyDecoder::take(char c) {
  if (got_cr_) {
    if (c != '\n') {
      return refuse("bad_chunk");
    }
    got_cr_ = false;
    if (state_ == State::chunk_end) {
      state_ = State::chunk_size;
      return true;
    }
    return state_ == State::trailer_line ? end_trailer_line() : end_chunk_line();
  }
  switch (state_) {
    case State::chunk_end:
      if (c != '\r') {
        return refuse("bad_chunk");
      }
      got_cr_ = true;
      return true;
    case State::chunk_size:
      if (const int digit = unhex(c); digit >= 0) {
        if (++digits_ > kMaxChunkDigits) {
          return refuse("bad_chunk");
        }
        remaining_ = (remaining_ << 4) | static_cast<std::uint64_t>(digit);
        return true;
      }
      if (digits_ == 0 || (c != '\r' && c != ';' && c != ' ' && c != '\t')) {
        return refuse("bad_chunk");
      }
      state_ = State::chunk_line;
      line_.clear();
      [[fallthrough]];
    case State::chunk_line: {
      if (++line_bytes_ > limits_.chunk_line_bytes) {
        return refuse("chunk_line_too_long");
      }
      if (c == '\r') {
        if (quoted_) {
          return refuse("bad_chunk");
        }
        got_cr_ = true;
        return true;
      }
      const auto byte = static_cast<unsigned char>(c);
      if ((byte < 0x20 && c != '\t') || byte == 0x7f) {
        return refuse("bad_chunk");
      }
      if (quoted_) {
        quoted_ = escaped_ || c != '"';
        escaped_ = !escaped_ && c == '\\';
        return true;
      }
      // White space may stand before the first extension only, not instead of one.
      if (line_.empty() && c != ';' && c != ' ' && c != '\t') {
        return refuse("bad_chunk");
      }
      if (c == ';') {
        line_ = ";";
      }
      quoted_ = c == '"';
      return true;
    }
    case State::trailer_line:
      if (++trailer_bytes_ > limits_.trailer_bytes) {
        return std::unexpected(Verdict{431, "trailers_too_large"});
      }
      if (c == '\r') {
        got_cr_ = true;
      } else if (c == '\n') {
        return refuse("bad_trailer");
      } else {
        line_.push_back(c);
      }
      return true;
    case State::payload:
    case State::to_the_end:
    case State::done:
      break;
  }
  return refuse("bad_chunk");
}

std::expected<bool, Verdict> BodyDecoder::end_chunk_line() {
  const bool last = remaining_ == 0;
  if (remaining_ > static_cast<std::uint64_t>(INT64_MAX)) {
    return refuse("bad_chunk");
  }
  state_ = last ? State::trailer_line : State::payload;
  digits_ = 0;
  line_bytes_ = 0;
  escaped_ = false;
  line_.clear();
  return true;
}

std::expected<bool, Verdict> BodyDecoder::end_trailer_line() {
  if (line_.empty()) {
    state_ = State::done;
    return true;
  }
  if (trailers_.size() >= limits_.trailers) {
    return std::unexpected(Verdict{431, "too_many_trailers"});
  }
  if (!parse_field_line(line_, trailers_)) {
    return refuse("bad_trailer");
  }
  line_.clear();
  return true;
}

bool BodyDecoder::end_of_input() {
  if (state_ == State::to_the_end) {
    state_ = State::done;
  }
  return done();
}

ChunkHead::ChunkHead(std::size_t size) {
  const auto end = std::to_chars(text_.data(), text_.data() + 16, size, 16).ptr;
  length_ = static_cast<std::size_t>(end - text_.data());
  text_[length_++] = '\r';
  text_[length_++] = '\n';
}

void append_last_chunk(std::string& out, const Fields& trailers, const TrailerRules& rules) {
  out += "0\r\n";
  for (const Field field : trailers) {
    const bool ours = !rules.ours.empty() && same_variable(field.name, rules.ours);
    if (!ours && may_trail(field.name) && survives(field.name, rules.rules)) {
      out.append(field.name).append(": ").append(field.value).append("\r\n");
    }
  }
  out += "\r\n";
}

}  // namespace simplon::http
