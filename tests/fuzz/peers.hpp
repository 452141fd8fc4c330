// Clients and origins around the engine, over memory streams, for the fuzz targets `smuggling` and
// `responses`.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/engine.hpp"
#include "message_reader.hpp"
#include "net/memory.hpp"

namespace simplon::fuzz {

/// One end of a stream; never waits.
class Peer {
 public:
  explicit Peer(net::StreamPtr stream) : stream_(std::move(stream)) {}

  /// What has come.
  std::string read() {
    std::string out;
    std::array<std::byte, 4096> piece;
    for (;;) {
      const auto got = stream_->try_read(piece);
      ended_ = ended_ || (got && *got == 0);
      lost_ = lost_ || (!got && got.error() != base::Errc::would_block);
      if (!got || *got == 0) return out;
      out.append(reinterpret_cast<const char*>(piece.data()), *got);
    }
  }

  /// False where the stream takes nothing any more.
  bool write(std::string_view text) {
    const auto put = stream_->try_write(net::as_buffer(text));
    require(!put || *put == text.size());  // far below what a memory stream takes
    return put.has_value();
  }

  /// The other end has ended its direction, in order; or the connection is cut.
  bool ended() const { return ended_; }
  bool lost() const { return lost_; }
  net::Stream& stream() const { return *stream_; }

 private:
  net::StreamPtr stream_;
  bool ended_ = false;
  bool lost_ = false;
};

/// Connects all clients to the same origins, whose connections are kept and used again.
template <class Origin>
class PoolingEnds final : public http::Ends {
 public:
  std::expected<std::string, base::Failure> route(std::string_view) override { return "origin"; }
  net::awaitable<std::expected<http::Upstream, base::Failure>> connect(net::Loop& loop, std::string,
                                                                       std::string, bool fresh,
                                                                       net::TimePoint) override {
    if (!fresh && !pool_.empty()) {
      auto pooled = std::move(pool_.back());
      pool_.pop_back();
      pooled.reused = true;
      co_return pooled;
    }
    auto [ours, theirs] = net::make_memory_pair(loop);
    origins.push_back(std::make_unique<Origin>(Peer(theirs)));
    co_return http::Upstream{.stream = ours, .authority = "origin"};
  }
  void release(const std::string&, http::Upstream upstream) override {
    pool_.push_back(std::move(upstream));
  }
  void forget() {
    for (const auto& origin : origins) {
      origin->peer.stream().reset();
    }
    pool_.clear();
  }

  std::vector<std::unique_ptr<Origin>> origins;

 private:
  std::vector<http::Upstream> pool_;
};

/// Both clients, the engine and its origins, on one loop. A Client has a `peer` and what it
/// `received`; what an Origin does is for the target to say.
template <class Client, class Origin>
class Scene {
 public:
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;
  virtual ~Scene() = default;

 protected:
  Scene() = default;

  /// A client's end of a connection that the engine serves.
  Peer enter() {
    auto [theirs, served] = net::make_memory_pair(loop_);
    net::spawn(loop_, "serve",
               http::serve(served, ends_, std::make_shared<http::Policy>(), http::Client{}, "id",
                           nullptr));
    return Peer(theirs);
  }

  /// An origin reads, and may answer. False where nothing had come.
  virtual bool listen(Origin& origin) = 0;

  /// Until nobody has anything more to say.
  void settle() {
    for (bool busy = true; busy;) {
      run();
      busy = false;
      for (std::size_t i = 0; i < ends_->origins.size(); ++i) {
        busy = listen(*ends_->origins[i]) || busy;
      }
      for (auto& client : clients_) {
        const std::string got = client->peer.read();
        client->received += got;
        busy = busy || !got.empty();
      }
    }
  }

  void end_sending() {
    for (auto& client : clients_) {
      client->peer.stream().shutdown_send();
    }
  }

  void pass_an_hour() { clock_.advance(std::chrono::hours(1)); }

  /// All leave, and nothing may stay behind.
  void leave() {
    for (auto& client : clients_) {
      client->peer.stream().reset();
    }
    ends_->forget();
    run();
    pass_an_hour();
    run();
  }

 private:
  void run() {
    while (loop_.poll() != 0) {
    }
  }

  base::ManualClock clock_;
  net::Loop loop_{clock_};

 protected:
  std::shared_ptr<PoolingEnds<Origin>> ends_ = std::make_shared<PoolingEnds<Origin>>();
  std::array<std::unique_ptr<Client>, 2> clients_;
};

inline std::size_t count(std::string_view text, std::string_view of) {
  std::size_t found = 0;
  for (std::size_t at = text.find(of); at != std::string_view::npos; at = text.find(of, at + 1)) {
    ++found;
  }
  return found;
}

}  // namespace simplon::fuzz
