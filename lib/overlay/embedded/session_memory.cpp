#include "overlay/embedded/session_memory.hpp"

#include <algorithm>

namespace simplon::overlay {
namespace {

// Small enough that a byte on each of many streams costs little, large enough for bulk.
constexpr std::size_t kMinChunk = 1024;
constexpr std::size_t kMaxChunk = 64UL * 1024;

}  // namespace

struct ReceiveQueue::Chunk {
  explicit Chunk(std::size_t size)
      : capacity(size), data(std::make_unique_for_overwrite<std::byte[]>(size)) {}

  std::size_t capacity;
  std::size_t begin = 0;
  std::size_t end = 0;
  std::unique_ptr<std::byte[]> data;
  std::unique_ptr<Chunk> next;
};

ReceiveQueue::ReceiveQueue() = default;
ReceiveQueue::~ReceiveQueue() { clear(); }

void ReceiveQueue::push(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    if (tail_ == nullptr || tail_->end == tail_->capacity) {
      const std::size_t last = tail_ == nullptr ? 0 : tail_->capacity;
      auto fresh = std::make_unique<Chunk>(
          std::clamp(std::max(bytes.size(), 2 * last), kMinChunk, kMaxChunk));
      memory_ += fresh->capacity + sizeof(Chunk);
      auto& place = tail_ == nullptr ? head_ : tail_->next;
      place = std::move(fresh);
      tail_ = place.get();
    }
    const std::size_t count = std::min(bytes.size(), tail_->capacity - tail_->end);
    std::copy_n(bytes.begin(), count, tail_->data.get() + tail_->end);
    tail_->end += count;
    size_ += count;
    bytes = bytes.subspan(count);
  }
}

std::size_t ReceiveQueue::pop(std::span<std::byte> into) {
  std::size_t taken = 0;
  while (taken < into.size() && head_ != nullptr) {
    const std::size_t count = std::min(into.size() - taken, head_->end - head_->begin);
    std::copy_n(head_->data.get() + head_->begin, count, into.subspan(taken).begin());
    head_->begin += count;
    taken += count;
    if (head_->begin == head_->end) {
      memory_ -= head_->capacity + sizeof(Chunk);
      head_ = std::move(head_->next);
    }
  }
  if (head_ == nullptr) {
    tail_ = nullptr;
  }
  size_ -= taken;
  return taken;
}

void ReceiveQueue::clear() {
  while (head_ != nullptr) {  // one by one: a chain destroys itself recursively
    head_ = std::move(head_->next);
  }
  tail_ = nullptr;
  size_ = 0;
  memory_ = 0;
}

void MemoryBudget::join(const std::shared_ptr<Member>& member) {
  const std::lock_guard lock(mutex_);
  members_.push_back({member.get(), member});
}

void MemoryBudget::leave(Member& member) {
  const std::lock_guard lock(mutex_);
  std::erase_if(members_, [&](const Entry& entry) { return entry.member == &member; });
}

void MemoryBudget::use(Member& member, std::size_t bytes) {
  member.used_ += bytes;
  if ((used_ += bytes) > limit_) {
    relieve();
  }
}

void MemoryBudget::release(Member& member, std::size_t bytes) {
  member.used_ -= bytes;
  used_ -= bytes;
}

bool MemoryBudget::promise(std::size_t bytes) {
  if (used_ > limit_ / 2) {
    return false;
  }
  if ((promised_ += bytes) > limit_ / 2) {
    promised_ -= bytes;
    return false;
  }
  return true;
}

void MemoryBudget::unpromise(std::size_t bytes) { promised_ -= bytes; }

// The fullest session may live on another loop: it is asked there, and what arrives meanwhile is
// all that the limit can be exceeded by.
void MemoryBudget::relieve() {
  const std::lock_guard lock(mutex_);
  const auto fullest = std::ranges::max_element(
      members_, {}, [](const Entry& entry) { return entry.member->used_.load(); });
  if (fullest == members_.end() || fullest->member->asked_.exchange(true)) {
    return;
  }
  fullest->member->loop_.post([this, weak = fullest->weak] {
    // A living session holds its budget.
    if (const auto member = weak.lock()) {
      member->asked_ = false;
      if (used_ > limit_ && member->shed() && used_ > limit_) {
        relieve();
      }
    }
  });
}

}  // namespace simplon::overlay
