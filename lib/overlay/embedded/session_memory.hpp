// Memory that peers can make an agent use: the queue of bytes that nobody has read yet, and the
// budget that all sessions of an agent share.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "net/loop.hpp"

namespace simplon::overlay {

/// Received bytes that wait for their reader. Holds no memory while it is empty.
class ReceiveQueue {
 public:
  ReceiveQueue();
  ~ReceiveQueue();
  ReceiveQueue(const ReceiveQueue&) = delete;
  ReceiveQueue& operator=(const ReceiveQueue&) = delete;

  void push(std::span<const std::byte> bytes);
  /// Moves up to into.size() bytes out; returns how many.
  std::size_t pop(std::span<std::byte> into);
  void clear();
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  /// What the queue really occupies, its unused room included.
  std::size_t memory() const { return memory_; }

 private:
  struct Chunk;
  std::unique_ptr<Chunk> head_;
  Chunk* tail_ = nullptr;
  std::size_t size_ = 0;
  std::size_t memory_ = 0;
};

/// The bound on unread bytes of all sessions together. Any thread.
///
/// Under pressure (half of it used or promised) no window grows any more: no more credit is granted
/// than was drained. Past the limit the session with most unread bytes is asked to give up its
/// fullest stream.
class MemoryBudget {
 public:
  static constexpr std::size_t kDefaultLimit = 256UL * 1024 * 1024;

  /// One session's part.
  class Member {
   public:
    explicit Member(net::Loop& loop) : loop_(loop) {}
    virtual ~Member() = default;
    /// Gives up the stream with most unread bytes; false if there is none. Called on the loop.
    virtual bool shed() = 0;

   private:
    friend class MemoryBudget;
    net::Loop& loop_;
    std::atomic<std::size_t> used_{0};
    std::atomic<bool> asked_{false};
  };

  explicit MemoryBudget(std::size_t limit = kDefaultLimit) : limit_(limit) {}

  void join(const std::shared_ptr<Member>& member);
  /// Before the member's destruction, on its loop.
  void leave(Member& member);
  /// Unread bytes came or went.
  void use(Member& member, std::size_t bytes);
  void release(Member& member, std::size_t bytes);
  /// A window wants to grow by `bytes`; true if it may, until unpromise().
  bool promise(std::size_t bytes);
  void unpromise(std::size_t bytes);

  std::size_t limit() const { return limit_; }
  std::size_t used() const { return used_; }
  std::size_t promised() const { return promised_; }
  /// How many streams were reset to stay within the limit.
  std::uint64_t sheds() const { return sheds_; }
  void count_shed() { ++sheds_; }

 private:
  struct Entry {
    Member* member;  // valid under the mutex, until leave()
    std::weak_ptr<Member> weak;
  };
  void relieve();

  const std::size_t limit_;
  std::atomic<std::size_t> used_{0};
  std::atomic<std::size_t> promised_{0};
  std::atomic<std::uint64_t> sheds_{0};
  std::mutex mutex_;
  std::vector<Entry> members_;
};

}  // namespace simplon::overlay
