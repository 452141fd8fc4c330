// HTTP/2 on ports of HTTP/1.1: carried where the ends can, refused in its own words where not.
#include "engine_fixture.hpp"
#include "http/http2_preface.hpp"
#include "http/server.hpp"

namespace simplon::http {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const std::string kPreface(kHttp2Preface);
// An empty SETTINGS frame.
const std::string kSettings("\0\0\0\4\0\0\0\0\0", 9);
// A request: HEADERS of stream 1 with an empty block, which ends headers and stream.
const std::string kRequest("\0\0\0\1\5\0\0\0\1", 9);

constexpr std::uint32_t kNoError = 0x0;
constexpr std::uint32_t kProtocolError = 0x1;
constexpr std::uint32_t kInternalError = 0x2;

/// What an HTTP/2 client understands of a refusal; empty where it is none.
struct Goaway {
  std::uint32_t code = 0;
  std::string debug;
};
std::optional<Goaway> goaway_in(std::string_view frame) {
  const auto number = [](std::string_view bytes) {
    std::uint32_t value = 0;
    for (const char c : bytes) {
      value = value << 8U | static_cast<unsigned char>(c);
    }
    return value;
  };
  const std::string_view head("\7\0\0\0\0\0", 6);  // GOAWAY, no flags, stream 0
  if (frame.size() < 9 + 8 || frame.substr(3, 6) != head ||
      number(frame.substr(0, 3)) != frame.size() - 9 || number(frame.substr(9, 4)) != 0) {
    return std::nullopt;
  }
  return Goaway{number(frame.substr(13, 4)), std::string(frame.substr(17))};
}

/// Ends whose target speaks HTTP/2.
class Http2Ends final : public TestEnds {
 public:
  net::awaitable<std::expected<Upstream, base::Failure>> connect_http2(
      net::Loop& loop, std::string, std::string first, net::TimePoint deadline) override {
    auto upstream = co_await connect(loop, {}, {}, true, deadline);
    if (upstream) {
      upstream->counters = passed;
      EXPECT_TRUE(co_await begin_http2(*upstream, std::move(first), deadline));
    }
    co_return upstream;
  }
  std::shared_ptr<net::SpliceCounters> passed = std::make_shared<net::SpliceCounters>();
};

/// The refusal in what a client received.
Goaway refused(RawPeer& client) {
  EXPECT_THAT(client.received(), StartsWith(kSettings));
  const auto found = goaway_in(client.received().substr(9));
  EXPECT_TRUE(found) << testing::PrintToString(client.received());
  return found.value_or(Goaway{});
}

/// Over ends that refuse HTTP/2, as those of a frontend and of a share of an HTTP/1.1 service.
using Behaviour14 = Engine;
/// RFC 8441: websockets over HTTP/2 exist where a server offers them.
using Behaviour66 = Engine;

class Http2 : public Engine {
 protected:
  Http2() { ends_ = http2_; }
  std::shared_ptr<Http2Ends> http2_ = std::make_shared<Http2Ends>();
};

TEST_F(Behaviour14, AnswersTheHttp2PrefaceWithGoaway) {
  open({.hop = base::Hop::frontend});
  client_->send(kPreface + kSettings + kRequest);
  EXPECT_EQ(refused(*client_).code, kProtocolError);
  EXPECT_THAT(refused(*client_).debug,
              StartsWith("Simplon-Error: hop=frontend; reason=version_not_supported; "));
  EXPECT_THAT(refused(*client_).debug, EndsWith("use HTTP/1.1"));
  EXPECT_EQ(ends_->connects, 0);
  ASSERT_EQ(ends_->outcomes.size(), 1U);
  EXPECT_EQ(ends_->outcomes[0].status, 505) << "what it is counted as";
}

TEST_F(Behaviour14, ReadsOnAfterTheRefusalAndClosesThen) {
  open();
  client_->send(kPreface + kRequest);
  EXPECT_TRUE(client_->ended());
  client_->send(std::string(100'000, 'x'));
  EXPECT_FALSE(client_->write_failed()) << "a lingering close";
  advance(seconds(1));
  EXPECT_TRUE(served_->closed());
}

TEST_F(Behaviour14, RefusesWhatIsAskedAndNotTheConnection) {
  const std::string more("\0\0\x8\6\0\0\0\0\0PING....", 17);
  for (std::size_t split = 0; split < more.size(); ++split) {
    open();
    client_->send(kPreface + kSettings + more.substr(0, split));
    client_->send(more.substr(split) + more);
    EXPECT_EQ(client_->received(), kSettings) << "nothing was asked for yet";
    client_->send(kRequest.substr(0, 8));
    EXPECT_EQ(client_->received(), kSettings) << split;
    client_->send(kRequest.substr(8));
    EXPECT_EQ(refused(*client_).code, kProtocolError) << split;
  }
}

TEST_F(Behaviour14, WaitsForARequestForASecond) {
  open();
  client_->send(kPreface + kSettings);
  advance(milliseconds(900));
  EXPECT_EQ(client_->received(), kSettings);
  advance(milliseconds(100));
  EXPECT_EQ(refused(*client_).code, kProtocolError);
  advance(seconds(1));
  EXPECT_TRUE(served_->closed());
}

TEST_F(Behaviour14, RefusesAClientThatAsksNothing) {
  open();
  client_->send(kPreface);
  client_->end();
  EXPECT_EQ(refused(*client_).code, kProtocolError);
  EXPECT_TRUE(served_->closed());
  open();
  client_->send(kPreface + std::string("\0\x40\0\0\0\0\0\0\1", 9) + std::string(70'000, 'x'));
  EXPECT_EQ(refused(*client_).code, kProtocolError) << "64 KiB are enough to ask for something";
}

TEST_F(Behaviour14, ARefusedClientThatReadsNothingIsLetGo) {
  auto [theirs, ours] = net::make_memory_pair(loop_, 4);
  client_ = std::make_unique<RawPeer>(theirs);
  client_->stop_reading(true);
  net::spawn(loop_, "serve",
             serve(ours, ends_, std::make_shared<Policy>(), Client{}, "id", drain_));
  client_->send(kPreface + kRequest);
  advance(seconds(1));
  advance(seconds(1));
  EXPECT_TRUE(ours->closed());
}

TEST_F(Behaviour14, KnowsThePrefaceHoweverItIsSplit) {
  for (std::size_t split = 1; split < kPreface.size(); ++split) {
    open();
    client_->send(kPreface.substr(0, split));
    EXPECT_EQ(client_->received(), "") << split;
    client_->send(kPreface.substr(split) + kRequest);
    EXPECT_EQ(refused(*client_).code, kProtocolError) << split;
  }
}

TEST_F(Behaviour14, TakesNoRequestForAPreface) {
  for (const std::string method : {"P", "PR", "PRO", "PRIX", "PUT", "POST"}) {
    for (std::size_t split = 1; split < 4; ++split) {
      open();
      const std::string request = method + " / HTTP/1.1\r\nHost: h\r\n\r\n";
      client_->send(request.substr(0, split));
      client_->send(request.substr(split));
      EXPECT_EQ(origin().take(), request) << split;
    }
  }
}

TEST_F(Behaviour14, IsNoPrefaceBehindAnythingElse) {
  EXPECT_THAT(exchange("\r\n" + kPreface), StartsWith("HTTP/1.1 400 "));
  open();
  client_->send(kGet);
  answered(kOk);
  client_->take();
  client_->send(kPreface + kSettings);
  EXPECT_THAT(client_->take(), StartsWith("HTTP/1.1 400 ")) << "between requests";
  EXPECT_TRUE(client_->gone());
}

TEST_F(Behaviour14, APrefaceThatIsPipelinedIsNeverForwarded) {
  open();
  client_->send(std::string(kGet) + kPreface);
  EXPECT_THAT(origin().take(), Not(HasSubstr("PRI")));
  EXPECT_THAT(answered(kOk), HasSubstr("HTTP/1.1 400 "));
}

TEST_F(Behaviour14, ItsMethodIsReserved) {
  for (const std::string line : {"PRI / HTTP/1.1", "PRI * HTTP/1.1", "PRI * HTTP/2.0",
                                 "PRI /x HTTP/2.0", "PRI * HTTP/1.0"}) {
    open();
    EXPECT_THAT(exchange(line + "\r\nHost: h\r\n\r\nSX\r\n\r\n"), StartsWith("HTTP/1.1 400 "))
        << line;
  }
  EXPECT_EQ(ends_->connects, 0);
}

TEST_F(Behaviour14, AnUnfinishedPrefaceIs408AfterTheHeadTimeout) {
  open();
  client_->send(kPreface.substr(0, 20));
  advance(seconds(59));
  EXPECT_EQ(client_->received(), "");
  advance(seconds(2));
  EXPECT_THAT(client_->take(), StartsWith("HTTP/1.1 408 "));
}

TEST_F(Behaviour14, AnEndWithinThePrefaceEndsTheConnection) {
  open();
  client_->send(kPreface.substr(0, 20));
  client_->end();
  EXPECT_EQ(client_->take(), "");
  EXPECT_TRUE(client_->gone());
}

TEST_F(Behaviour14, TheRefusalOfAWaitingDrainIsNoError) {
  open();
  client_->send(kPreface.substr(0, 3));
  drain_->request();
  client_->send(kPreface.substr(3) + kRequest);
  EXPECT_EQ(refused(*client_).code, kNoError);
  EXPECT_THAT(refused(*client_).debug, HasSubstr("reason=draining"));
}

TEST_F(Behaviour14, AServerOfOursRefusesThePreface) {
  class Nothing final : public Handler {
    net::awaitable<void> handle(Request&, Responder&) override { co_return; }
  };
  auto [theirs, ours] = net::make_memory_pair(loop_);
  client_ = std::make_unique<RawPeer>(theirs);
  net::spawn(loop_, "serve", serve_locally(ours, std::make_shared<Nothing>(), {}, drain_));
  client_->send(kPreface + kRequest);
  EXPECT_EQ(refused(*client_).code, kProtocolError);
  EXPECT_THAT(refused(*client_).debug, HasSubstr("this server speaks HTTP/1.1"));
}

TEST_F(Behaviour14, TheDebugDataIsBounded) {
  const auto found = goaway_in(goaway(
      {base::Hop::share, make_error_code(base::Errc::host_refused), std::string(5000, 'x')}));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->debug.size(), 1024U);
}

TEST_F(Http2, IsCarriedUnparsed) {
  open();
  const std::string all = kPreface + kSettings + "no frame at all";
  EXPECT_EQ(forwarded(all), all);
  EXPECT_EQ(answered("anything"), "anything");
  EXPECT_EQ(forwarded("more"), "more");
  EXPECT_EQ(http2_->passed->forward, all.size() + 4);
  EXPECT_EQ(http2_->passed->backward, 8U);
  EXPECT_TRUE(ends_->hosts.empty()) << "there is no Host to route by";
}

TEST_F(Http2, LosesNoByteWhereverTheFirstOnesAreSplit) {
  const std::string all = kPreface + kSettings;
  for (std::size_t split = 1; split < all.size(); ++split) {
    open();
    client_->send(all.substr(0, split));
    client_->send(all.substr(split) + "x");
    EXPECT_EQ(origin().take(), all + "x") << split;
    client_->reset();
  }
}

TEST_F(Http2, PassesEachDirectionsEnd) {
  open();
  client_->send(kPreface);
  client_->end();
  EXPECT_EQ(origin().take(), kPreface);
  EXPECT_TRUE(origin().ended());
  EXPECT_EQ(answered("late"), "late");
  origin().end();
  EXPECT_TRUE(client_->ended());
  EXPECT_TRUE(served_->closed());
}

TEST_F(Http2, PassesAnEndThatCameWithThePreface) {
  auto [theirs, ours] = net::make_memory_pair(loop_);
  client_ = std::make_unique<RawPeer>(theirs);
  ASSERT_TRUE(theirs->try_write(net::as_buffer(kPreface)));
  theirs->shutdown_send();
  net::spawn(loop_, "serve",
             serve(ours, ends_, std::make_shared<Policy>(), Client{}, "id", drain_));
  client_->settle();
  EXPECT_EQ(origin().take(), kPreface);
  EXPECT_TRUE(origin().ended());
  EXPECT_EQ(answered("answer"), "answer");
}

TEST_F(Http2, PassesAResetInBothDirections) {
  open();
  client_->send(kPreface);
  origin().reset();
  EXPECT_TRUE(client_->failure());
  open();
  client_->send(kPreface);
  client_->reset();
  EXPECT_TRUE(origin().failure());
}

TEST_F(Http2, IdlesAsLongAsItLikes) {
  open();
  forwarded(kPreface);
  advance(hours(100));
  EXPECT_EQ(forwarded("x"), "x");
  EXPECT_EQ(answered("y"), "y");
}

TEST_F(Http2, IsLeftAloneOnDrain) {
  open();
  forwarded(kPreface);
  drain_->request();
  EXPECT_EQ(forwarded("x"), "x");
}

TEST_F(Http2, AFailureOfThePathIsAGoawayThatNamesIt) {
  http2_->failures.push_back(
      {base::Hop::target, make_error_code(base::Errc::target_refused), "nobody listens"});
  open();
  client_->send(kPreface + kRequest);
  EXPECT_EQ(refused(*client_).code, kInternalError);
  EXPECT_EQ(refused(*client_).debug,
            "Simplon-Error: hop=target; reason=target_refused; "
            "target: the target refused the connection: nobody listens");
}

TEST_F(Http2, HoldsASlowTargetsClientBack) {
  http2_->capacity = 1024;
  open();
  client_->send(kPreface);
  origin().stop_reading(true);
  client_->send(std::string(8 * 1024 * 1024, 'x'));
  EXPECT_TRUE(client_->blocked());
}

TEST_F(Behaviour66, OffersNoExtendedConnectWhereItRefuses) {
  open();
  client_->send(kPreface + kSettings + kRequest);
  EXPECT_THAT(client_->received(), StartsWith(kSettings))
      << "an offer would be SETTINGS_ENABLE_CONNECT_PROTOCOL in the payload";
  EXPECT_TRUE(goaway_in(client_->received().substr(kSettings.size())))
      << "nor in a second SETTINGS frame";
}

TEST_F(Behaviour66, AddsNoSettingToATargetsOwn) {
  ends_ = std::make_shared<Http2Ends>();
  open();
  EXPECT_EQ(forwarded(kPreface + kSettings), kPreface + kSettings);
  const std::string own("\0\0\6\4\0\0\0\0\0\0\3\0\0\0\x64", 15);
  EXPECT_EQ(answered(own), own) << "the offer is the target's to make";
}

TEST_F(Behaviour66, AConnectWithAProtocolIsRefusedInHttp1) {
  EXPECT_THAT(exchange("CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n:protocol: websocket\r\n\r\n"),
              StartsWith("HTTP/1.1 400 "));
  open();
  EXPECT_THAT(exchange("CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n"), StartsWith("HTTP/1.1 405 "));
}

}  // namespace
}  // namespace simplon::http
