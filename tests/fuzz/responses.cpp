// Two clients ask, through the engine, origins that answer by a grammar that goes wrong on purpose
// (message_grammar.hpp), say more than was asked, and stop in the middle. The input chooses the
// requests, the productions, the splits and the ends.
//
// What must hold: a client gets one response a request, in order, and none more; what it takes for
// a whole response of an origin is what another reader (response_reader.hpp) makes of that origin's
// bytes, and is whole there; no response has bytes of another; nothing waits for ever.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "message_grammar.hpp"
#include "net/buffer_pool.hpp"
#include "peers.hpp"
#include "request_reader.hpp"
#include "response_reader.hpp"

namespace {

using namespace simplon;
using fuzz::count;
using fuzz::require;
using std::string_view;

constexpr string_view kOurs = "Simplon-Error: ";  // in the engine's own answers

// How an origin goes on after its answer.
enum class After : std::uint8_t { waits, ends, resets };

// A request, and how it will be answered, as often as it is asked.
struct Plan {
  std::string mark;
  std::string request;
  fuzz::Asked asked;
  std::string response;
  std::string extra;  // that nobody asked for, behind it
  After after = After::waits;
  bool early = false;  // the answer does not wait for the request's body
};

constexpr std::array<string_view, 4> kBodiless{
    "HTTP/1.1 204 No Content",
    "HTTP/1.1 304 Not Modified",
    "HTTP/1.1 205 Reset Content",
    "HTTP/1.0 304 Not Modified",
};
constexpr std::array<string_view, 22> kStatusLines{
    "HTTP/1.0 200 OK",
    "HTTP/1.1 200 ",
    "HTTP/1.1 200",
    "HTTP/1.1  200 OK",
    "HTTP/1.1 200  OK",
    "HTTP/1.2 200 OK",
    "HTTP/2 200 OK",
    "http/1.1 200 OK",
    "HTTP/1.1 2000 OK",
    "HTTP/1.1 20 OK",
    "HTTP/1.1 600 OK",
    "HTTP/1.1 099 OK",
    "HTTP/1.1 +20 OK",
    "HTTP/1.1 101 Switching Protocols",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket",
    "HTTP/1.1 100 Continue",
    "\r\nHTTP/1.1 200 OK",
    "HTTP/1.1 200 @",
    "HTTP/1.1 200 OK\r\n x",
    "HTTP/1.1 200 O\rK",
    " HTTP/1.1 200 OK",
    "HTTP/1.1\t200 OK",
};
constexpr std::array<string_view, 4> kInterim{
    "HTTP/1.1 100 Continue",
    "HTTP/1.1 103 Early Hints",
    "HTTP/1.1 199 @",
    "HTTP/1.0 102 Processing",
};

class Conversation : private fuzz::MessageGrammar {
 public:
  Conversation(FuzzedDataProvider& choices, string_view mark) : MessageGrammar(choices, mark) {}

  Plan plan(bool last) {
    Plan plan{.mark = std::string(mark_)};
    const bool upgrade = ask(plan, last);
    respond(plan.response, plan.asked.method == "HEAD", upgrade);
    if (odd()) {
      plan.response.resize(choices_.ConsumeIntegralInRange<std::size_t>(0, plan.response.size()));
    } else if (choices_.ConsumeBool()) {
      odd() ? noise(plan.extra) : respond(plan.extra, false, false);
    }
    plan.after = odd() ? After::resets : choices_.ConsumeBool() ? After::ends : After::waits;
    plan.early = choices_.ConsumeBool();
    return plan;
  }

 private:
  // Requests are in order: true for a websocket handshake, which is a connection's last.
  bool ask(Plan& plan, bool last) {
    constexpr std::array<string_view, 6> kMethods{"GET", "GET", "HEAD", "POST", "PUT", "OPTIONS"};
    const bool upgrade = last && odd();
    plan.asked.method = upgrade ? "GET" : one_of(kMethods);
    plan.asked.old = !upgrade && odd();
    std::string& out = plan.request;
    put(out, plan.asked.method + " /@ " + (plan.asked.old ? "HTTP/1.0" : "HTTP/1.1") + "\r\n");
    out += "Host: h\r\n";
    if (upgrade) {
      out += "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    } else if (odd()) {
      out += choices_.ConsumeBool() ? "Connection: keep-alive\r\n" : "Connection: close\r\n";
    }
    if (plan.asked.method.starts_with('P')) {
      if (!plan.asked.old && odd()) out += "Expect: 100-continue\r\n";
      put(out, plan.asked.old || choices_.ConsumeBool()
                   ? "Content-Length: 5\r\n\r\n@"
                   : "Transfer-Encoding: chunked\r\n\r\n5\r\n@\r\n0\r\n\r\n");
    } else {
      out += "\r\n";
    }
    return upgrade;
  }

  void respond(std::string& out, bool head, bool upgrade) {
    while (odd() && choices_.remaining_bytes() > 0) {
      put(out, one_of(kInterim));
      line_end(out);
      if (odd()) any_fields(out);
      line_end(out);
    }
    if (upgrade && !odd()) {
      out += "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket";
      line_end(out);
      if (odd()) any_fields(out);
      line_end(out);
      return put(out, "@@");
    }
    const bool bodiless = choices_.ConsumeIntegralInRange(0, 3) == 0;
    put(out, odd() ? one_of(kStatusLines) : bodiless ? one_of(kBodiless) : "HTTP/1.1 200 OK");
    line_end(out);
    field(out, "X", "@");
    enum class Framing : std::uint8_t { length, chunked, close, kMaxValue = close };
    const auto framing = choices_.ConsumeEnum<Framing>();
    if (framing != Framing::close && !odd()) {
      framing == Framing::chunked ? field(out, "Transfer-Encoding", "chunked")
                                  : field(out, "Content-Length", "5");
    }
    if (odd()) any_fields(out);
    if (odd()) noise(out);
    line_end(out);
    if ((head || bodiless) && !odd()) return;
    framing == Framing::chunked ? chunks(out) : put(out, odd() ? "@@" : "@");
  }
};

// What an origin said to one request.
struct Exchange {
  const Plan& plan;
  std::string said;
  bool ended = false;

  fuzz::ReadResponse meant() const {
    fuzz::ResponseReader reader(fuzz::Rules::forgiving);
    reader.feed(said);
    if (ended) reader.end();
    return reader.next({.method = plan.asked.method});
  }
};

struct Origin {
  explicit Origin(fuzz::Peer end) : peer(std::move(end)) {}

  fuzz::Peer peer;
  fuzz::RequestReader reader{fuzz::Rules::letter};
  Exchange* exchange = nullptr;  // the newest
  string_view left;              // of its answer
  string_view extra;             // behind it
  bool early = false;            // which began before the request was whole
  bool over = false;
};

struct Client {
  Client(fuzz::Peer end, std::vector<Plan> all) : peer(std::move(end)), plans(std::move(all)) {
    for (const Plan& plan : plans) {
      sending += plan.request;
    }
    left = sending;
  }

  fuzz::Peer peer;
  std::vector<Plan> plans;
  std::string sending;
  string_view left;
  std::string received;
};

class Scene final : private fuzz::Scene<Client, Origin> {
 public:
  explicit Scene(std::array<std::vector<Plan>, 2> plans) {
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      clients_[i] = std::make_unique<Client>(enter(), std::move(plans[i]));
    }
    settle();
  }

  void play(FuzzedDataProvider& choices) {
    while (choices.remaining_bytes() > 0) {
      const std::size_t who = choices.ConsumeIntegralInRange<std::size_t>(0, 3);
      const auto size = choices.ConsumeIntegralInRange<std::size_t>(1, 64);
      if (who < clients_.size()) {
        send(*clients_[who], size);
      } else if (!ends_->origins.empty()) {
        const std::size_t newest = ends_->origins.size() - 1;
        speak(*ends_->origins[newest - std::min(newest, who - clients_.size())], size);
      }
      settle();
    }
  }

  void finish() {
    for (auto& client : clients_) {
      send(*client, std::string::npos);
      speak_out();
    }
    end_sending();
    speak_out();
    pass_an_hour();  // an origin that waits is given up
    speak_out();
    for (auto& client : clients_) {
      require(client->peer.ended() || client->peer.lost());
      require_answers(*client);
    }
    leave();
  }

 private:
  static void send(Client& client, std::size_t most) {
    const string_view piece = client.left.substr(0, most);
    client.peer.write(piece);
    client.left.remove_prefix(piece.size());
  }

  void speak_out() {
    settle();
    for (bool busy = true; busy;) {
      busy = false;
      for (std::size_t i = 0; i < ends_->origins.size(); ++i) {
        busy = speak(*ends_->origins[i], std::string::npos) || busy;
      }
      settle();
    }
  }

  // The next piece of the answer, and what comes after the last one. False where there is none.
  static bool speak(Origin& origin, std::size_t most) {
    if (origin.exchange == nullptr || origin.over) return false;
    Exchange& exchange = *origin.exchange;
    const string_view piece = origin.left.substr(0, most);
    if (origin.peer.write(piece)) exchange.said += piece;
    origin.left.remove_prefix(piece.size());
    if (origin.left.empty() && !origin.extra.empty()) {
      origin.left = std::exchange(origin.extra, {});
      return true;
    }
    if (!origin.left.empty() || exchange.plan.after == After::waits) return !piece.empty();
    origin.over = true;
    exchange.ended = exchange.plan.after == After::ends;
    exchange.ended ? origin.peer.stream().shutdown_send() : origin.peer.stream().reset();
    return true;
  }

  bool listen(Origin& origin) override {
    const std::string got = origin.peer.read();
    if (origin.over) return !got.empty();
    if (origin.peer.ended()) {  // a websocket's client left
      origin.peer.stream().shutdown_send();
      origin.over = true;
      return true;
    }
    if (!got.empty() && !origin.early) hush(origin);
    origin.reader.feed(got);
    while (const auto request = origin.reader.next()) {
      if (std::exchange(origin.early, false)) {
        if (!origin.reader.empty()) hush(origin);
      } else {
        answer(origin, request->raw);
      }
    }
    require(!origin.reader.faulty());
    if (const auto head = origin.reader.begun()) {
      if (plan_of(*head).early) {
        answer(origin, *head);
        origin.early = true;
      } else if (origin.reader.expects()) {
        origin.peer.write("HTTP/1.1 100 Continue\r\n\r\n");
      }
    }
    return !got.empty();
  }

  // What is left of an earlier answer is not said any more: behind the next request nobody could
  // tell it from the answer to that.
  static void hush(Origin& origin) { origin.left = origin.extra = {}; }

  void answer(Origin& origin, string_view request) {
    const Plan& plan = plan_of(request);
    exchanges_.push_back(std::make_unique<Exchange>(plan));
    origin.exchange = exchanges_.back().get();
    origin.left = plan.response;
    origin.extra = plan.extra;
  }

  const Plan& plan_of(string_view request) const {
    const Plan* found = nullptr;
    for (const auto& client : clients_) {
      for (const Plan& plan : client->plans) {
        if (count(request, plan.mark) == 0) continue;
        require(found == nullptr);
        found = &plan;
      }
    }
    require(found != nullptr);
    return *found;
  }

  void require_answers(const Client& client) const {
    fuzz::ResponseReader reader(fuzz::Rules::letter);
    reader.feed(client.received);
    if (client.peer.ended()) reader.end();
    for (const Plan& plan : client.plans) {
      const fuzz::ReadResponse got = reader.next(plan.asked);
      require(!reader.faulty());
      require_own(got, plan);
      if (!got.complete) return;
      if (got.closes) break;
    }
    require(reader.left().empty());
  }

  void require_own(const fuzz::ReadResponse& got, const Plan& plan) const {
    for (const auto& client : clients_) {
      for (const Plan& other : client->plans) {
        if (other.mark == plan.mark) continue;
        require(count(got.head + got.body, other.mark) == 0);
        for (const std::string& interim : got.interim) {
          require(count(interim, other.mark) == 0);
        }
      }
    }
    if (got.head.empty() || got.head.find(kOurs) != std::string::npos) return;
    bool meant = false;
    for (const auto& exchange : exchanges_) {
      meant = meant || (exchange->plan.mark == plan.mark && says(exchange->meant(), got));
    }
    require(meant);
  }

  static bool says(const fuzz::ReadResponse& meant, const fuzz::ReadResponse& got) {
    if (meant.status != got.status) return false;
    if (!got.complete || got.status == 101) return meant.body.starts_with(got.body);
    return meant.complete && meant.body == got.body;
  }

  std::vector<std::unique_ptr<Exchange>> exchanges_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  {
    FuzzedDataProvider choices(data, size);
    std::array<std::vector<Plan>, 2> plans;
    char letter = 'A';
    for (auto& of_client : plans) {
      for (int left = choices.ConsumeIntegralInRange(1, 4); left > 0; --left) {
        const std::string mark(5, letter++);
        of_client.push_back(Conversation(choices, mark).plan(left == 1));
      }
    }
    Scene scene(std::move(plans));
    scene.play(choices);
    scene.finish();
  }
  require(net::pooled_buffers_in_use() == 0);
  return 0;
}
