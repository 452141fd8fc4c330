// A hostile router: any frame at any time, to a channel whose user dials, hosts, reads, writes and
// ends its circuits in every way. The input is a list of steps: frames made of parts that fit what
// is under way, bytes as they are, time, and the user's acts. Its first byte chooses the budget.
//
// Nothing crashes, no memory stays accounted for, the loss is told once, our frames are whole, and
// no Data follows a circuit's StateClosed.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <vector>

#include <sodium.h>

#include "net/memory.hpp"
#include "overlay/ziti/channel.hpp"
#include "overlay/ziti/frame.hpp"

namespace {

using namespace simplon;
using namespace simplon::overlay::ziti;

class Input {
 public:
  explicit Input(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  bool empty() const { return bytes_.empty(); }
  std::uint8_t byte() {
    if (bytes_.empty()) {
      return 0;
    }
    const std::uint8_t first = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return first;
  }
  Bytes take(std::size_t count) {
    const auto part = bytes_.first(std::min(count, bytes_.size()));
    bytes_ = bytes_.subspan(part.size());
    return std::as_bytes(part);
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

constexpr std::array kContents{content::kHello,
                               content::kResult,
                               content::kLatency,
                               content::kConnect,
                               content::kStateConnected,
                               content::kStateClosed,
                               content::kData,
                               content::kDial,
                               content::kDialSuccess,
                               content::kDialFailed,
                               content::kBind,
                               content::kUnbind,
                               content::kConnInspectRequest,
                               content::kBindSuccess,
                               content::kUpdateTokenSuccess,
                               content::kUpdateTokenFailure,
                               60807,
                               7};

/// Reads what comes and answers some of it.
class Reader final : public net::Waiter, public net::EndWatcher {
 public:
  Reader(net::StreamPtr given, bool reads) : stream(std::move(given)) {
    if (reads) {
      stream->wait(net::Event::readable, *this);
    }
    stream->watch_end(this);
  }
  ~Reader() {
    stream->watch_end(nullptr);
    for (const auto event : {net::Event::readable, net::Event::writable, net::Event::flushed}) {
      stream->cancel_wait(event);
    }
  }
  void write(net::Buffer bytes) {
    stream->try_write(bytes).value_or(0);
    stream->wait(net::Event::writable, *this);
    stream->wait(net::Event::flushed, *this);
  }
  const net::StreamPtr stream;

 private:
  void ready(net::Event event, std::error_code) override {
    if (event != net::Event::readable) {
      return;
    }
    std::array<std::byte, 100> piece{};
    const auto got = stream->try_read(piece);
    if (got && *got != 0) {
      if (const auto put = stream->try_write(net::Buffer(piece).first(*got)); put && *put > *got) {
        std::abort();
      }
      stream->wait(net::Event::readable, *this);
    }
  }
  void ended() override {
    if (++ends_ > 1) {
      std::abort();
    }
  }
  int ends_ = 0;
};

/// What the channel sends.
class Wire final : public FrameSink {
 public:
  void read(net::Stream& stream) {
    std::array<std::byte, 16384> piece;
    for (auto got = stream.try_read(piece); got && *got != 0; got = stream.try_read(piece)) {
      if (!parser_.feed(std::span(piece).first(*got), *this)) {
        std::abort();
      }
    }
  }

 private:
  bool frame(const FrameView& frame) override {
    const auto id = frame.number(header::kConnId);
    if (id && *id < kFirstRouterConnId) {
      if (frame.content() == content::kStateClosed) {
        closed_.insert(*id);
      } else if (frame.content() == content::kData && closed_.contains(*id)) {
        std::abort();
      }
    }
    return true;
  }
  FrameParser parser_;
  std::set<std::uint32_t> closed_;
};

struct World {
  explicit World(bool modest)
      : budget(
            std::make_shared<overlay::MemoryBudget>(modest ? 256UL * 1024 : 64UL * 1024 * 1024)) {
    auto [near, far] = net::make_memory_pair(loop, 16384);
    wire = far;
    net::spawn(loop, "start", [](World* world, net::StreamPtr transport) -> net::awaitable<void> {
      auto started = co_await Channel::start(
          std::move(transport), {.router = {},
                                 .tls = nullptr,
                                 .api_token = "login",
                                 .client_name = "me",
                                 .deadline = world->loop.now() + std::chrono::seconds(15),
                                 .budget = world->budget});
      if (started) {
        world->channel = std::move(*started);
        world->channel->on_lost([world](const EdgeError&) { ++world->losses; });
      }
    }(this, near));
  }

  void settle() {
    while (loop.poll() > 0) {
    }
  }
  void send(Bytes bytes) {
    while (!bytes.empty()) {
      const auto put = wire->try_write(bytes);
      if (!put) {
        return;
      }
      bytes = bytes.subspan(*put);
      settle();
      if (drains) {
        sent.read(*wire);
      }
    }
  }

  void frame(Input& input) {
    std::vector<std::byte> out;
    FrameWriter writer(out, kContents[input.byte() % kContents.size()], input.byte());
    const std::uint8_t which = input.byte();
    const std::uint32_t conn = which < 128 ? which % 16U : kFirstRouterConnId + which % 16U;
    const std::uint8_t parts = input.byte();
    if ((parts & 1) == 0) {
      writer.u32(header::kConnId, conn);
    }
    if ((parts & 2) != 0) {
      writer.u32(header::kReplyFor, input.byte() % 32U);
    }
    if ((parts & 4) != 0) {
      writer.u32(header::kFlags, input.byte());
    }
    if ((parts & 8) != 0) {
      const std::array<unsigned char, 32> point{9};
      writer.header(header::kPublicKey, std::as_bytes(std::span(point)));
    }
    if ((parts & 16) != 0) {
      writer.text(header::kReflected, kFinMarker);
    }
    if ((parts & 32) != 0) {
      writer.u32(header::kRouterProvidedConnId, kFirstRouterConnId + input.byte() % 16U)
          .flag(header::kResultSuccess);
    }
    if ((parts & 64) != 0) {
      const std::size_t length = input.byte();
      writer.header(input.byte() + 1000, input.take(length));
    }
    if ((parts & 128) != 0) {
      writer.body(std::string_view("session"));
    } else {
      const std::size_t length = input.byte();
      const Bytes body = input.take(length);
      writer.body(length == 255 ? Bytes(large) : length == 254 ? Bytes(huge) : body);
    }
    send(out);
  }

  void act(Input& input) {
    const std::uint8_t what = input.byte();
    const std::uint8_t on = input.byte();
    Reader* const reader = readers.empty() ? nullptr : readers[on % readers.size()].get();
    switch (what % 12) {
      case 0:
      case 1:
        if (channel) {
          dial(what % 2 == 0);
        }
        break;
      case 2:
        if (channel) {
          bind(on % 2 == 0);
        }
        break;
      case 3:
        bindings.clear();
        break;
      case 4:
        if (!offers.empty()) {
          readers.push_back(std::make_unique<Reader>(offers.back()->accept(), on % 4 != 0));
          offers.pop_back();
        }
        break;
      case 5:
        offers.clear();
        break;
      case 6:
        if (reader != nullptr) {
          reader->stream->close();
        }
        break;
      case 7:
        if (reader != nullptr) {
          reader->stream->reset(net::Errc::target_refused);
        }
        break;
      case 8:
        if (reader != nullptr) {
          reader->stream->shutdown_send();
        }
        break;
      case 9:
        if (reader != nullptr) {
          reader->write(large);
        }
        break;
      case 10:
        if (on % 8 == 0 && channel) {
          channel->close();
        } else if (on % 8 == 1) {
          drains = !drains;
        } else if (on % 8 == 2 && channel) {
          net::spawn(loop, "update", [](World* world) -> net::awaitable<void> {
            const auto updated = co_await world->channel->update_token("jwt");
            world->updates += updated ? 1 : 0;
          }(this));
        } else if (!readers.empty()) {
          readers.erase(readers.begin() + on % static_cast<int>(readers.size()));
        }
        break;
      default:
        clock.advance(std::chrono::milliseconds(200 * on));
        break;
    }
    settle();
    if (drains) {
      sent.read(*wire);
    }
  }

  void dial(bool encrypted) {
    net::spawn(loop, "dial", [](World* world, bool keys) -> net::awaitable<void> {
      auto dialed =
          co_await world->channel->dial({.session_token = "session",
                                         .encrypted = keys,
                                         .deadline = world->loop.now() + std::chrono::seconds(15)});
      if (dialed && world->open) {
        world->readers.push_back(
            std::make_unique<Reader>(std::move(*dialed), world->readers.size() % 3 != 1));
      }
    }(this, encrypted));
  }
  void bind(bool encrypted) {
    net::spawn(loop, "bind", [](World* world, bool keys) -> net::awaitable<void> {
      auto bound =
          co_await world->channel->bind({.session_token = "session",
                                         .encrypted = keys,
                                         .listener_id = "l",
                                         .deadline = world->loop.now() + std::chrono::seconds(15)},
                                        [world](std::unique_ptr<IncomingDial> dial) {
                                          world->offers.push_back(std::move(dial));
                                        });
      if (bound && world->open) {
        world->bindings.push_back(std::move(*bound));
      }
    }(this, encrypted));
  }

  base::ManualClock clock;
  const std::shared_ptr<overlay::MemoryBudget> budget;
  net::Loop loop{clock};
  bool open = true;
  bool drains = true;
  int losses = 0;
  int updates = 0;
  const std::vector<std::byte> large = std::vector<std::byte>(40'000, std::byte{3});
  const std::vector<std::byte> huge = std::vector<std::byte>(1'000'000, std::byte{4});
  net::StreamPtr wire;
  Wire sent;
  std::shared_ptr<Channel> channel;
  std::vector<std::unique_ptr<Reader>> readers;
  std::vector<std::unique_ptr<IncomingDial>> offers;
  std::vector<std::shared_ptr<Binding>> bindings;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const bool ready = sodium_init() >= 0;
  if (!ready || size > 4096) {
    return 0;
  }
  Input input(std::span(data, size));
  World world(input.byte() % 2 == 0);
  while (!input.empty()) {
    switch (const std::uint8_t step = input.byte(); step % 4) {
      case 0:
        world.act(input);
        break;
      case 3:
        if (step >= 0xf0) {
          world.send(input.take(input.byte()));
          break;
        }
        [[fallthrough]];
      default:
        world.frame(input);
        break;
    }
  }
  world.open = false;
  world.settle();
  if (world.losses > 1 || (world.channel && world.channel->up() && world.losses != 0)) {
    std::abort();
  }
  world.clock.advance(std::chrono::hours(1));
  world.settle();
  if (world.channel) {
    world.channel->close();
  }
  world.offers.clear();
  world.bindings.clear();
  world.readers.clear();
  world.clock.advance(std::chrono::seconds(2));
  world.settle();
  if (world.channel && world.channel->circuits() != 0) {
    std::abort();
  }
  world.channel.reset();
  world.settle();
  if (world.budget->used() != 0) {
    std::abort();
  }
  return 0;
}
