// A pair of connected in-memory streams: both ends in one agent, and every test that needs no
// kernel.
//
// Both ends belong to one loop. Bounded: each direction holds at most `capacity` (not zero) bytes,
// then writes would block; the buffer goes back to the pool when they are read. carries_reason():
// the reason given to reset() is what the other end's reads and writes fail with.
#pragma once

#include <utility>

#include "net/stream.hpp"

namespace simplon::net {

inline constexpr std::size_t kMemoryCapacity = 64 * 1024;

std::pair<StreamPtr, StreamPtr> make_memory_pair(Loop& loop,
                                                 std::size_t capacity = kMemoryCapacity);

}  // namespace simplon::net
