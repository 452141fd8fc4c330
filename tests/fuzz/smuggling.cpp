// Two clients send requests made by a grammar that goes wrong on purpose, through the engine, to
// origins that read strictly (request_reader.hpp). The input chooses the productions and the
// splits.
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
#include <vector>

#include <fuzzer/FuzzedDataProvider.h>

#include "http/engine.hpp"
#include "net/buffer_pool.hpp"
#include "net/memory.hpp"
#include "request_reader.hpp"

namespace {

using namespace simplon;
using fuzz::require;
using std::string_view;

constexpr std::array<string_view, 2> kMarks{"AAAAA", "BBBBB"};  // of five bytes, the usual length
constexpr string_view kAnswered = "X-Answered-By: origin";

// '@' stands for the client's mark.
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
constexpr std::array<string_view, 16> kNames{
    "Content-Length",
    "Transfer-Encoding",
    "content-length",
    "transfer-encoding",
    "Content-Length ",
    "Transfer-Encoding\t",
    " Content-Length",
    "Transfer_Encoding",
    "Connection",
    "Host",
    "Expect",
    "TE",
    "Upgrade",
    "Trailer",
    "X-@",
    "Content-Length\r\n ",
};
constexpr std::array<string_view, 36> kValues{
    "5",
    "chunked",
    "0",
    "5, 5",
    "+5",
    "05",
    "6",
    "4",
    "5 5",
    "0x5",
    "18446744073709551621",
    "",
    "Chunked",
    "xchunked",
    "gzip, chunked",
    "chunked, chunked",
    "identity",
    "chunked;q=1",
    "\x0b"
    "chunked",
    "close",
    "keep-alive",
    "Content-Length, Host",
    "Transfer-Encoding",
    "Upgrade",
    "upgrade, HTTP2-Settings",
    "h2c",
    "websocket",
    "100-continue",
    "x",
    "trailers",
    "@",
    "@\r\n @",
    "a\rb",
    "a\nContent-Length: 5",
    "a\r\n\r\nGET /@ HTTP/1.1",
    "5\r\nTransfer-Encoding: chunked",
};
constexpr std::array<string_view, 20> kChunkLines{
    "5",
    "05",
    "5;a=b",
    "5 ",
    "+5",
    "0x5",
    "5;\n",
    "5\r",
    "6",
    "4",
    "",
    "g",
    "5;a=\"\r\n\"",
    "00000000000000005",
    "ffffffffffffffff",
    "-5",
    "5;a",
    "5\t",
    "1",
    "5;\r",
};
constexpr std::array<string_view, 8> kLineEnds{"\r\n", "\r\n", "\r\n",   "\r\n",
                                               "\n",   "\r",   "\r\r\n", "\n\r"};
constexpr std::array<string_view, 8> kTrailers{
    "",          "X: @\r\n", "Content-Length: 5\r\n",          "Host: @\r\n", "Bad Name: x\r\n",
    "X : @\r\n", "X: 1\n",   "Transfer-Encoding: chunked\r\n",
};

class Grammar {
 public:
  Grammar(FuzzedDataProvider& choices, string_view mark) : choices_(choices), mark_(mark) {}

  std::string requests() {
    std::string out;
    for (int left = choices_.ConsumeIntegralInRange(1, 5); left > 0; --left) {
      request(out);
    }
    return out;
  }

 private:
  // Mostly well-formed: what is refused at once reaches nothing behind it.
  bool odd() { return choices_.ConsumeIntegralInRange(0, 7) == 0; }

  template <std::size_t Size>
  string_view one_of(const std::array<string_view, Size>& of) {
    return choices_.PickValueInArray(of);
  }

  void put(std::string& out, string_view pattern) const {
    for (const char c : pattern) {
      c == '@' ? void(out.append(mark_)) : out.push_back(c);
    }
  }

  void line_end(std::string& out) { out += odd() ? one_of(kLineEnds) : "\r\n"; }

  // Bytes of the input itself, except what would look like a client's mark.
  void noise(std::string& out) {
    for (char c : choices_.ConsumeRandomLengthString(8)) {
      out.push_back(c == 'A' || c == 'B' ? 'x' : c);
    }
  }

  void field(std::string& out, string_view name, string_view value) {
    put(out, name);
    out += odd() ? " : " : ": ";
    put(out, value);
    line_end(out);
  }

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
    for (int left = choices_.ConsumeIntegralInRange(0, 3); left > 0; --left) {
      field(out, one_of(kNames), one_of(kValues));
    }
    if (odd()) noise(out);
    line_end(out);
    chunked ? chunks(out) : put(out, odd() ? "@@" : "@");
  }

  void chunks(std::string& out) {
    for (int left = choices_.ConsumeIntegralInRange(0, 2); left > 0; --left) {
      out += odd() ? one_of(kChunkLines) : "5";
      line_end(out);
      put(out, "@");
      line_end(out);
    }
    out += odd() ? one_of(kChunkLines) : "0";
    line_end(out);
    put(out, odd() ? one_of(kTrailers) : "");
    if (odd()) noise(out);
    line_end(out);
  }

  FuzzedDataProvider& choices_;
  string_view mark_;
};

// A request that an origin answered; without a body where that never came whole.
struct Asked {
  std::string method;
  std::optional<std::string> body;
};

struct Origin {
  net::StreamPtr stream;
  fuzz::RequestReader reader{fuzz::Rules::letter};
  Asked* early = nullptr;  // the request that is coming has its answer
};

class FuzzEnds final : public http::Ends {
 public:
  std::expected<std::string, base::Failure> route(string_view) override { return "origin"; }
  net::awaitable<std::expected<http::Upstream, base::Failure>> connect(net::Loop& loop, std::string,
                                                                       std::string, bool fresh,
                                                                       net::TimePoint) override {
    if (!fresh && !pool.empty()) {
      auto pooled = std::move(pool.back());
      pool.pop_back();
      pooled.reused = true;
      co_return pooled;
    }
    auto [ours, theirs] = net::make_memory_pair(loop);
    origins.push_back({.stream = theirs});
    co_return http::Upstream{.stream = ours, .authority = "origin"};
  }
  void release(const std::string&, http::Upstream upstream) override {
    pool.push_back(std::move(upstream));
  }

  std::vector<http::Upstream> pool;
  std::vector<Origin> origins;
};

std::string read_all(net::Stream& stream) {
  std::string out;
  std::array<std::byte, 4096> piece;
  for (;;) {
    const auto got = stream.try_read(piece);
    if (!got || *got == 0) return out;
    out.append(reinterpret_cast<const char*>(piece.data()), *got);
  }
}

void write(net::Stream& stream, string_view text) {
  const auto put = stream.try_write(net::as_buffer(text));
  require(!put || *put == text.size());  // far below what a memory stream takes
}

std::size_t count(string_view text, string_view of) {
  std::size_t found = 0;
  for (std::size_t at = text.find(of); at != string_view::npos; at = text.find(of, at + 1)) {
    ++found;
  }
  return found;
}

// Both clients, the engine and its origins, on one loop.
class Scene {
 public:
  Scene() {
    for (Client& client : clients_) {
      auto [theirs, served] = net::make_memory_pair(loop_);
      client.stream = theirs;
      net::spawn(loop_, "serve",
                 http::serve(served, ends_, std::make_shared<http::Policy>(), http::Client{}, "id",
                             nullptr));
    }
    settle();
  }

  void send(std::size_t client, string_view piece) {
    clients_[client].sent += piece;
    write(*clients_[client].stream, piece);
    settle();
  }

  void finish() {
    for (Client& client : clients_) {
      client.stream->shutdown_send();
    }
    settle();
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      require(count(clients_[i].received, kAnswered) == clients_[i].asked.size());
      require(count(clients_[i].received, kMarks[1 - i]) == 0);
      require_meant(clients_[i]);
    }
    for (Client& client : clients_) {
      client.stream->reset();
    }
    for (const Origin& origin : ends_->origins) {
      origin.stream->reset();
    }
    ends_->pool.clear();
    run();
    clock_.advance(std::chrono::hours(1));
    run();
  }

 private:
  struct Client {
    net::StreamPtr stream;
    std::string sent;
    std::string received;
    std::deque<Asked> asked;
  };

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

  void run() {
    while (loop_.poll() != 0) {
    }
  }

  void settle() {
    for (bool busy = true; busy;) {
      run();
      busy = false;
      for (std::size_t i = 0; i < ends_->origins.size(); ++i) {
        busy = serve(ends_->origins[i]) || busy;
      }
      for (Client& client : clients_) {
        const std::string got = read_all(*client.stream);
        client.received += got;
        busy = busy || !got.empty();
      }
    }
  }

  bool serve(Origin& origin) {
    const std::string got = read_all(*origin.stream);
    origin.reader.feed(got);
    while (auto request = origin.reader.next()) {
      Asked* early = std::exchange(origin.early, nullptr);
      Asked& asked = early ? *early : answer(origin, request->raw, request->method);
      asked.body = std::move(request->body);
    }
    require(!origin.reader.faulty());
    if (const auto head = origin.reader.begun()) {
      if (origin.reader.expects()) {
        write(*origin.stream, "HTTP/1.1 100 Continue\r\n\r\n");
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
    write(*origin.stream, out.append(method == "HEAD" ? "" : kMarks[client]));
    return clients_[client].asked.emplace_back(std::string(method), std::nullopt);
  }

  base::ManualClock clock_;
  net::Loop loop_{clock_};
  std::shared_ptr<FuzzEnds> ends_ = std::make_shared<FuzzEnds>();
  std::array<Client, 2> clients_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  {
    FuzzedDataProvider choices(data, size);
    const std::array<std::string, 2> sent{Grammar(choices, kMarks[0]).requests(),
                                          Grammar(choices, kMarks[1]).requests()};
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
