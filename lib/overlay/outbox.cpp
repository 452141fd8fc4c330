#include "overlay/outbox.hpp"

#include <algorithm>
#include <span>

namespace simplon::overlay {

std::array<net::Buffer, 3> Outbox::pieces() const {
  return {std::span(sending_).subspan(sending_done_), control_, data_};
}

void Outbox::sent(std::size_t count) {
  const std::size_t rest = std::min(count, sending_.size() - sending_done_);
  sending_done_ += rest;
  count -= rest;
  if (sending_done_ < sending_.size()) {
    return;
  }
  sending_.clear();
  sending_done_ = 0;
  sent_batch_ = std::max(sent_batch_, sending_batch_);
  if (count < control_.size()) {
    // Frames are never cut: what is left of these comes before anything else.
    if (count != 0) {
      sending_.swap(control_);
      sending_done_ = count;
    }
    return;
  }
  count -= control_.size();
  control_.clear();
  if (count == data_.size()) {
    data_.clear();
    sent_batch_ = batch_++;
  } else if (count != 0) {
    sending_.swap(data_);
    sending_done_ = count;
    sending_batch_ = batch_++;
  }
}

void Outbox::shrink() {
  sending_.shrink_to_fit();
  data_.shrink_to_fit();
}

}  // namespace simplon::overlay
