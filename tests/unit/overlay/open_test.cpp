#include "overlay/embedded/open.hpp"

#include <gtest/gtest.h>

#include "net/memory.hpp"
#include "overlay/embedded/session_codes.hpp"
#include "unit/net/harness.hpp"

namespace simplon::overlay {
namespace {

using base::Errc;
using base::Hop;
using net::test::Probe;
using net::test::read_now;
using net::test::run;
using net::test::settle;
using State = OpenStatus::State;

OpenRequest demo() {
  return {.service = "demo",
          .kind = StreamKind::raw,
          .connection_id = "c-1",
          .on_behalf_of = "192.0.2.7:4711",
          .frontend = true};
}

std::span<const std::byte> body_of(const std::string& message) {
  return net::as_buffer(message).subspan(2);
}

TEST(OpenMessage, AnOpenReadsBackAsItself) {
  for (const StreamKind kind :
       {StreamKind::http, StreamKind::raw, StreamKind::probe, StreamKind::control}) {
    OpenRequest request = demo();
    request.kind = kind;
    const auto message = encode_open(request);
    ASSERT_TRUE(message);
    const auto back = decode_open(body_of(*message));
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, request);
  }
}

TEST(OpenMessage, AnOpenThatBreaksALimitIsNotSent) {
  const auto refused = [](auto change) {
    OpenRequest request = demo();
    change(request);
    const auto message = encode_open(request);
    return !message && message.error() == Errc::invalid_argument;
  };
  EXPECT_TRUE(refused([](OpenRequest& r) { r.service = ""; }));
  EXPECT_TRUE(refused([](OpenRequest& r) { r.service = "Demo"; }));
  EXPECT_TRUE(refused([](OpenRequest& r) { r.service = std::string(64, 'a'); }));
  EXPECT_TRUE(refused([](OpenRequest& r) { r.connection_id = std::string(65, 'a'); }));
  EXPECT_TRUE(refused([](OpenRequest& r) { r.connection_id = "a\nb"; }));
  EXPECT_TRUE(refused([](OpenRequest& r) { r.on_behalf_of = std::string(257, 'a'); }));
  EXPECT_TRUE(refused([](OpenRequest& r) { r.on_behalf_of = "\x80"; }));
}

TEST(OpenMessage, AnOpenOfAnUnknownKindIsAProtocolError) {
  std::string message = *encode_open(demo());
  const std::size_t kind = message.find(std::string("\x10\x02", 2));
  ASSERT_NE(kind, std::string::npos);
  message[kind + 1] = 9;
  EXPECT_EQ(decode_open(body_of(message)).error(), Errc::protocol_error);
  message[kind + 1] = 0;
  EXPECT_EQ(decode_open(body_of(message)).error(), Errc::protocol_error);
}

TEST(OpenMessage, NoiseIsAProtocolError) {
  EXPECT_EQ(decode_open(net::as_buffer("\xff\xff\xff")).error(), Errc::protocol_error);
  EXPECT_EQ(decode_open({}).error(), Errc::protocol_error);
  EXPECT_EQ(decode_status(net::as_buffer("\xff")).error(), Errc::protocol_error);
}

TEST(OpenMessage, ARefusalKeepsItsReasonHopAndDetail) {
  const Refusal refusal{.failure = {.hop = Hop::target,
                                    .code = Errc::target_refused,
                                    .detail = "127.0.0.1:9 refused"},
                        .not_processed = true};
  const auto back = decode_status(body_of(encode_refusal(refusal)));
  ASSERT_TRUE(back && back->has_value());
  EXPECT_EQ((*back)->failure.code, Errc::target_refused);
  EXPECT_EQ((*back)->failure.hop, Hop::target);
  EXPECT_EQ((*back)->failure.detail, "127.0.0.1:9 refused");
  EXPECT_TRUE((*back)->not_processed);
}

TEST(OpenMessage, ADetailIsCutAndCleaned) {
  const Refusal refusal{.failure = {.hop = Hop::share,
                                    .code = Errc::not_permitted,
                                    .detail = "a\x1b[0m\xff" + std::string(9000, 'x')}};
  const std::string message = encode_refusal(refusal);
  EXPECT_LT(message.size(), kMaxOpenMessage);
  const auto back = decode_status(body_of(message));
  ASSERT_TRUE(back && back->has_value());
  EXPECT_TRUE((*back)->failure.detail.starts_with("a?[0m?xxx"));
}

TEST(OpenMessage, ACodeThatTravelsNowhereIsStillARefusal) {
  const auto back =
      decode_status(body_of(encode_refusal({.failure = {.code = Errc::would_block}})));
  ASSERT_TRUE(back && back->has_value());
  EXPECT_EQ((*back)->failure.code, Errc::host_refused);
  // The reason 200 of a newer peer.
  const auto unknown = decode_status(net::as_buffer("\x08\xc8\x01"));
  ASSERT_TRUE(unknown && unknown->has_value());
  EXPECT_EQ((*unknown)->failure.code, Errc::host_refused);
}

TEST(OpenMessage, EveryReasonTravelsAndKeepsItsNumber) {
  for (std::uint32_t code = 1; code <= 18; ++code) {
    const Errc reason = from_wire(code);
    EXPECT_NE(reason, Errc::reset) << code;
    EXPECT_EQ(to_wire(reason), code);
  }
  EXPECT_EQ(from_wire(kNoReason), Errc::reset);
  EXPECT_EQ(from_wire(19), Errc::reset);
  EXPECT_EQ(to_wire(std::make_error_code(std::errc::io_error)), kNoReason);
}

TEST(OpenMessage, AReaderStopsAtTheEndOfItsMessage) {
  const std::string bytes = *encode_open(demo()) + "GET /";
  MessageReader reader;
  std::size_t used = 0;
  while (!reader.done()) {
    const auto took = reader.feed(net::as_buffer(bytes).subspan(used, 1));
    ASSERT_TRUE(took);
    ASSERT_EQ(*took, 1U);
    used += *took;
  }
  EXPECT_EQ(bytes.substr(used), "GET /");
  EXPECT_EQ(decode_open(reader.message()).value(), demo());
  MessageReader large;
  EXPECT_EQ(large.feed(net::as_buffer("\x10\x01")).error(), Errc::protocol_error);
}

class OpenStream : public testing::Test {
 protected:
  void SetUp() override { std::tie(dialer_, host_) = net::make_memory_pair(loop_); }

  Opened open() {
    auto opened = start_open(dialer_, demo());
    EXPECT_TRUE(opened);
    return std::move(*opened);
  }

  std::unique_ptr<Inbound> answer() {
    auto request = run(loop_, read_open(host_, loop_.now() + kOpenDeadline));
    EXPECT_TRUE(request);
    return make_inbound(host_, *request, Identity{.peer = {.name = "there"}});
  }

  std::error_code read_error(net::Stream& stream) {
    std::array<std::byte, 16> into{};
    const auto got = stream.try_read(into);
    return got ? std::error_code() : got.error();
  }

  base::ManualClock clock_;
  net::Loop loop_{clock_};
  net::StreamPtr dialer_;
  net::StreamPtr host_;
};

TEST_F(OpenStream, DataFollowsTheOpenAtOnceAndTheAnswerComesFirst) {
  const Opened opened = open();
  ASSERT_TRUE(opened.stream->try_write(net::as_buffer("hello")));
  const auto inbound = answer();
  EXPECT_EQ(inbound->kind(), StreamKind::raw);
  EXPECT_EQ(inbound->connection_id(), "c-1");
  EXPECT_EQ(inbound->on_behalf_of(), "192.0.2.7:4711");
  EXPECT_EQ(inbound->from().peer.name, "there");
  EXPECT_EQ(read_now(*inbound->stream()), "hello");

  EXPECT_EQ(read_error(*opened.stream), Errc::would_block);
  inbound->accept();
  ASSERT_TRUE(inbound->stream()->try_write(net::as_buffer("world")));
  EXPECT_EQ(read_now(*opened.stream), "world");
  EXPECT_EQ(opened.status->state(), State::accepted);
}

TEST_F(OpenStream, AReaderWaitsForTheFirstByteAndNotForTheAnswer) {
  const Opened opened = open();
  Probe probe;
  opened.stream->wait(net::Event::readable, probe);
  const auto inbound = answer();
  inbound->accept();
  settle(loop_);
  EXPECT_EQ(opened.status->state(), State::accepted);
  EXPECT_EQ(probe.calls, 0);
  ASSERT_TRUE(host_->try_write(net::as_buffer("x")));
  settle(loop_);
  EXPECT_EQ(probe.calls, 1);
  EXPECT_EQ(read_now(*opened.stream), "x");
}

TEST_F(OpenStream, TheStatusSettlesWithoutAReader) {
  const Opened opened = open();
  answer()->accept();
  settle(loop_);
  EXPECT_EQ(run(loop_, opened.status->decided(loop_, net::TimePoint::max())), State::accepted);
}

TEST_F(OpenStream, ARefusalFailsBothDirectionsWithItsCode) {
  const Opened opened = open();
  Probe reader;
  opened.stream->wait(net::Event::readable, reader);
  answer()->reject({.failure = {.hop = Hop::share, .code = Errc::not_permitted, .detail = "no"}});
  settle(loop_);
  EXPECT_EQ(opened.status->state(), State::refused);
  EXPECT_EQ(opened.status->refusal().failure.detail, "no");
  EXPECT_TRUE(opened.status->refusal().not_processed);
  EXPECT_EQ(reader.calls, 1);
  EXPECT_EQ(read_error(*opened.stream), Errc::not_permitted);
  EXPECT_EQ(opened.stream->try_write(net::as_buffer("x")).error(), Errc::not_permitted);
  Probe writer;
  opened.stream->wait(net::Event::writable, writer);
  settle(loop_);
  EXPECT_EQ(writer.calls, 1);
}

TEST_F(OpenStream, AnInboundThatIsDroppedIsRefused) {
  const Opened opened = open();
  answer().reset();
  settle(loop_);
  ASSERT_EQ(opened.status->state(), State::refused);
  EXPECT_EQ(opened.status->refusal().failure.code, Errc::host_refused);
}

TEST_F(OpenStream, ATypedResetBeforeTheAnswerIsTheRefusal) {
  const Opened opened = open();
  host_->reset(Errc::draining);
  settle(loop_);
  ASSERT_EQ(opened.status->state(), State::refused);
  EXPECT_EQ(opened.status->refusal().failure.code, Errc::draining);
  EXPECT_TRUE(opened.status->refusal().not_processed);
}

TEST_F(OpenStream, AnEndBeforeTheAnswerMayHaveBeenProcessed) {
  const Opened opened = open();
  host_->close();
  settle(loop_);
  ASSERT_EQ(opened.status->state(), State::refused);
  EXPECT_EQ(opened.status->refusal().failure.code, Errc::host_refused);
  EXPECT_FALSE(opened.status->refusal().not_processed);
}

TEST_F(OpenStream, AHostThatAnswersNoiseIsRefusedAndReset) {
  const Opened opened = open();
  ASSERT_TRUE(host_->try_write(net::as_buffer("HTTP/1.1 200 OK\r\n")));
  settle(loop_);
  ASSERT_EQ(opened.status->state(), State::refused);
  EXPECT_EQ(opened.status->refusal().failure.code, Errc::protocol_error);
  EXPECT_EQ(host_->try_write(net::as_buffer("x")).error(), Errc::protocol_error);
}

TEST_F(OpenStream, AnAnswerThatDoesNotComeInTimeIsARefusal) {
  const Opened opened = open();
  const auto state =
      net::test::start(loop_, opened.status->decided(loop_, loop_.now() + kOpenDeadline));
  settle(loop_);
  EXPECT_FALSE(state->has_value());
  clock_.advance(kOpenDeadline);
  settle(loop_);
  ASSERT_TRUE(state->has_value());
  EXPECT_EQ(**state, State::refused);
  EXPECT_EQ(opened.status->refusal().failure.code, Errc::timed_out);
  EXPECT_FALSE(opened.status->refusal().not_processed);
  EXPECT_EQ(read_error(*opened.stream), Errc::timed_out);
}

TEST_F(OpenStream, AMovedDeadlineAppliesWhileTheAnswerIsPending) {
  const Opened opened = open();
  Probe probe;
  opened.stream->set_deadline(net::Direction::receive, loop_.now() + std::chrono::hours(1));
  opened.stream->wait(net::Event::readable, probe);
  opened.stream->set_deadline(net::Direction::receive, loop_.now() + std::chrono::seconds(1));
  clock_.advance(std::chrono::seconds(1));
  settle(loop_);
  EXPECT_EQ(probe.calls, 1);
  EXPECT_EQ(probe.error, Errc::timed_out);
  opened.stream->clear_deadline(net::Direction::receive);
  const auto inbound = answer();
  inbound->accept();
  ASSERT_TRUE(host_->try_write(net::as_buffer("late")));
  EXPECT_EQ(read_now(*opened.stream), "late");
}

TEST_F(OpenStream, ADroppedStreamSettlesItsStatus) {
  Opened opened = open();
  opened.stream.reset();
  dialer_.reset();
  EXPECT_EQ(opened.status->state(), State::refused);
  EXPECT_EQ(opened.status->refusal().failure.code, Errc::cancelled);
  settle(loop_);
  EXPECT_EQ(read_error(*host_), Errc::reset);
}

TEST_F(OpenStream, AStatusMayDropTheStreamThatItSettles) {
  Opened opened = open();
  dialer_.reset();
  auto held = std::make_shared<net::StreamPtr>(std::move(opened.stream));
  opened.status->when_settled([held] { held->reset(); });
  answer()->reject({.failure = {.code = Errc::not_permitted}});
  settle(loop_);
  EXPECT_EQ(*held, nullptr);
}

TEST_F(OpenStream, AnOpenThatDoesNotComeInTimeIsAnError) {
  const auto request = net::test::start(loop_, read_open(host_, loop_.now() + kOpenDeadline));
  settle(loop_);
  clock_.advance(kOpenDeadline);
  settle(loop_);
  ASSERT_TRUE(request->has_value());
  EXPECT_EQ((*request)->error(), Errc::timed_out);
}

TEST_F(OpenStream, AnOpenThatIsCutShortIsAnError) {
  ASSERT_TRUE(dialer_->try_write(net::as_buffer(std::string_view("\0\x20", 2))));
  dialer_->close();
  EXPECT_EQ(run(loop_, read_open(host_, net::TimePoint::max())).error(), Errc::truncated);
}

TEST_F(OpenStream, AStreamThatTakesNoOpenFailsTheDial) {
  dialer_->reset();
  EXPECT_EQ(start_open(dialer_, demo()).error(), Errc::closed);
  OpenRequest wrong = demo();
  wrong.service = "-";
  EXPECT_EQ(start_open(host_, wrong).error(), Errc::invalid_argument);
}

}  // namespace
}  // namespace simplon::overlay
