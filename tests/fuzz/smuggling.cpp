// Two clients send requests made by a grammar that goes wrong on purpose (message_grammar.hpp),
// through the engine, to origins that read strictly (request_reader.hpp). The input chooses the
// productions and the splits.
//
// What must hold: an origin gets nothing that is not HTTP/1.1 to the letter; what it gets of a
// client is what another reader makes of that client's bytes, in their order and up to some point;
// the client gets as many answers from it; no message has bytes of both clients.
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "message_grammar.hpp"
#include "net/buffer_pool.hpp"
#include "peers.hpp"
#include "request_reader.hpp"

namespace {

using namespace simplon;
using fuzz::count;
using fuzz::require;
using std::string_view;

constexpr std::array<string_view, 2> kMarks{"AAAAA", "BBBBB"};
constexpr string_view kAnswered = "X-Answered-By: origin";

constexpr std::array<string_view, 22> kLines{
    "GET /@ HTTP/1.1",
    "POST /@ HTTP/1.1",
    "POST /@ HTTP/1.1",
    "POST /@ HTTP/1.0",
    "HEAD /@ HTTP/1.1",
    "OPTIONS * HTTP/1.1\r\nX: @",
    "PUT /@?x=@ HTTP/1.1",
    "POST http://@/ HTTP/1.1",
    "POST  /@ HTTP/1.1",
    "POST /@ HTTP/1.1 ",
    "POST /@ HTTP/1.2",
    "post /@ HTTP/1.1",
    "POST /@",
    "\r\nPOST /@ HTTP/1.1",
    "\nPOST /@ HTTP/1.1",
    "POST\t/@ HTTP/1.1",
    "POST /@\r HTTP/1.1",
    "CONNECT @:1 HTTP/1.1",
    "POST /@#x HTTP/1.1",
    " POST /@ HTTP/1.1",
    "X /@ HTTP/1.1",
    "DELETE /@ HTTP/1.1",
};
class Requests : private fuzz::MessageGrammar {
 public:
  Requests(FuzzedDataProvider& choices, string_view mark) : MessageGrammar(choices, mark) {}

  std::string any() {
    std::string out;
    for (int left = choices_.ConsumeIntegralInRange(1, 5); left > 0; --left) {
      request(out);
    }
    return out;
  }

 private:
  void request(std::string& out) {
    put(out, odd()                    ? one_of(kLines)
             : choices_.ConsumeBool() ? "POST /@ HTTP/1.1"
                                      : "PUT /@ HTTP/1.1");
    line_end(out);
    if (!odd()) field(out, "Host", "@");
    const bool chunked = choices_.ConsumeBool();
    if (!odd()) {
      chunked ? field(out, "Transfer-Encoding", "chunked") : field(out, "Content-Length", "5");
    }
    any_fields(out);
    if (odd()) noise(out);
    line_end(out);
    chunked ? chunks(out) : put(out, odd() ? "@@" : "@");
  }
};

// A request that an origin answered; without a body where that never came whole.
struct Asked {
  std::string method;
  std::optional<std::string> body;
};

struct Origin {
  explicit Origin(fuzz::Peer end) : peer(std::move(end)) {}

  fuzz::Peer peer;
  fuzz::RequestReader reader{fuzz::Rules::letter};
  Asked* early = nullptr;  // the request that is coming has its answer
};

struct Client {
  explicit Client(fuzz::Peer end) : peer(std::move(end)) {}

  fuzz::Peer peer;
  std::string sent;
  std::string received;
  std::deque<Asked> asked;
};

class Scene final : private fuzz::Scene<Client, Origin> {
 public:
  Scene() {
    for (auto& client : clients_) {
      client = std::make_unique<Client>(enter());
    }
    settle();
  }

  void send(std::size_t client, string_view piece) {
    clients_[client]->sent += piece;
    clients_[client]->peer.write(piece);
    settle();
  }

  void finish() {
    end_sending();
    settle();
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      require(count(clients_[i]->received, kAnswered) == clients_[i]->asked.size());
      require(count(clients_[i]->received, kMarks[1 - i]) == 0);
      require_meant(*clients_[i]);
    }
    leave();
  }

 private:
  // The client's own bytes say so, to a reader that is not the engine's.
  static void require_meant(const Client& client) {
    fuzz::RequestReader reader(fuzz::Rules::forgiving);
    reader.feed(client.sent);
    for (const Asked& asked : client.asked) {
      if (!asked.body) {
        require(&asked == &client.asked.back());
        return;
      }
      const auto meant = reader.next();
      require(meant && meant->method == asked.method && meant->body == asked.body);
    }
  }

  bool listen(Origin& origin) override {
    const std::string got = origin.peer.read();
    origin.reader.feed(got);
    while (auto request = origin.reader.next()) {
      Asked* early = std::exchange(origin.early, nullptr);
      Asked& asked = early ? *early : answer(origin, request->raw, request->method);
      asked.body = std::move(request->body);
    }
    require(!origin.reader.faulty());
    if (const auto head = origin.reader.begun()) {
      if (origin.reader.expects()) {
        origin.peer.write("HTTP/1.1 100 Continue\r\n\r\n");
      } else if (head->starts_with("PUT ")) {  // some origins do not wait for the body
        origin.early = &answer(origin, *head, "PUT");
      }
    }
    return !got.empty();
  }

  Asked& answer(Origin& origin, string_view request, string_view method) {
    const bool of_first = request.find(kMarks[0]) != string_view::npos;
    const bool of_second = request.find(kMarks[1]) != string_view::npos;
    require(of_first != of_second);
    const std::size_t client = of_second ? 1 : 0;
    std::string out = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n";
    out.append(kAnswered).append("\r\n\r\n");
    origin.peer.write(out.append(method == "HEAD" ? "" : kMarks[client]));
    return clients_[client]->asked.emplace_back(std::string(method), std::nullopt);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  {
    FuzzedDataProvider choices(data, size);
    const std::array<std::string, 2> sent{Requests(choices, kMarks[0]).any(),
                                          Requests(choices, kMarks[1]).any()};
    std::array<string_view, 2> left{sent[0], sent[1]};
    Scene scene;
    while (!left[0].empty() || !left[1].empty()) {
      const std::size_t client = left[0].empty() || (!left[1].empty() && choices.ConsumeBool());
      // All of it at once when the input is used up.
      const std::size_t piece = choices.remaining_bytes() == 0
                                    ? left[client].size()
                                    : choices.ConsumeIntegralInRange<std::size_t>(
                                          1, std::min<std::size_t>(left[client].size(), 64));
      scene.send(client, left[client].substr(0, piece));
      left[client].remove_prefix(piece);
    }
    scene.finish();
  }
  require(net::pooled_buffers_in_use() == 0);
  return 0;
}
