// What a multiplexed connection still has to write: the rest of what its transport took partly,
// then control frames, then data in the order of the streams' turns. Frames are never cut by
// others.
//
// Owned by a connection (session, channel); its loop only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "net/stream.hpp"

namespace simplon::overlay {

class Outbox {
 public:
  /// To append frames to.
  std::vector<std::byte>& control() { return control_; }
  std::vector<std::byte>& data() { return data_; }

  /// All of it, for one gathered write.
  std::array<net::Buffer, 3> pieces() const;
  /// The transport took `count` bytes of pieces().
  void sent(std::size_t count);

  /// Bytes, without the control frames that are not begun.
  std::size_t backlog() const { return sending_.size() - sending_done_ + data_.size(); }
  std::size_t size() const { return backlog() + control_.size(); }
  /// Gives memory back, when backlog() is 0.
  void shrink();

  /// Of the data appended now. Batches count up; the transport has all of those up to sent_batch().
  std::uint64_t batch() const { return batch_; }
  std::uint64_t sent_batch() const { return sent_batch_; }

 private:
  std::vector<std::byte> sending_;
  std::size_t sending_done_ = 0;
  std::vector<std::byte> control_;
  std::vector<std::byte> data_;
  std::uint64_t batch_ = 1;          // of data_
  std::uint64_t sending_batch_ = 0;  // of sending_
  std::uint64_t sent_batch_ = 0;
};

}  // namespace simplon::overlay
