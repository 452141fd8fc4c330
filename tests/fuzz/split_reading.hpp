// Reads a head of HTTP in pieces, for the fuzz targets of both kinds of heads.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <string_view>

#include "http/head.hpp"

namespace simplon::http::fuzz {

inline void require(bool holds) {
  if (!holds) std::abort();
}

template <class Head>
struct Read {
  Head head;
  std::size_t consumed = 0;
  bool done = false;
};

/// With `step` more bytes each time, until the head is whole, refused, or `in` is used up.
template <class Parser, class Head>
Read<Head> read(std::string_view in, std::size_t step) {
  Parser parser{Limits{}};
  Read<Head> result;
  for (std::size_t end = std::min(step, in.size());; end = std::min(end + step, in.size())) {
    const auto parsed =
        parser.parse(in.substr(result.consumed, end - result.consumed), result.head);
    if (!parsed) return result;
    result.consumed += parsed->consumed;
    result.done = parsed->done;
    if (result.done || end == in.size()) return result;
  }
}

/// In one piece; every other split must find the same end.
template <class Parser, class Head>
Read<Head> read_at_every_split(std::string_view in) {
  Read<Head> whole = read<Parser, Head>(in, in.size());
  for (const std::size_t step : {1UL, 2UL, 7UL}) {
    const auto split = read<Parser, Head>(in, step);
    require(split.done == whole.done);
    if (whole.done) require(split.consumed == whole.consumed);
  }
  return whole;
}

}  // namespace simplon::http::fuzz
