#include "net/memory.hpp"
#include "overlay/ziti/late_stream.hpp"
#include "unit/net/harness.hpp"

namespace simplon::overlay::ziti {
namespace {

using base::Errc;
using net::Event;
using net::test::EndProbe;
using net::test::error_of;
using net::test::pattern;
using net::test::Probe;
using net::test::read_now;
using net::test::read_to_end;
using net::test::run;
using net::test::send;
using net::test::settle;
using net::test::start;

class ZitiLateStream : public testing::Test {
 protected:
  std::array<std::byte, 64> piece;
  net::Loop loop;
  int given_up = 0;
  std::shared_ptr<LateStream> stream = std::make_shared<LateStream>(loop, [this] { ++given_up; });
  std::pair<net::StreamPtr, net::StreamPtr> pair = net::make_memory_pair(loop);
};

TEST_F(ZitiLateStream, NothingMovesBeforeItArrives) {
  EXPECT_EQ(error_of(stream->try_read(piece)), Errc::would_block);
  EXPECT_EQ(error_of(stream->try_write(net::as_buffer("a"))), Errc::would_block);
  Probe readable;
  Probe writable;
  stream->wait(Event::readable, readable);
  stream->wait(Event::writable, writable);
  settle(loop);
  EXPECT_EQ(readable.calls + writable.calls, 0);
  stream->arrive(pair.first);
  settle(loop);
  EXPECT_EQ(writable.calls, 1);
  EXPECT_EQ(readable.calls, 0);
  EXPECT_TRUE(pair.second->try_write(net::as_buffer("hello")));
  settle(loop);
  EXPECT_EQ(readable.calls, 1);
  EXPECT_EQ(read_now(*stream), "hello");
}

TEST_F(ZitiLateStream, ThenItIsTheStreamBelow) {
  const std::string text = pattern(300'000);
  const auto sent = start(loop, send(stream, text, true));
  const auto got = start(loop, read_to_end(pair.second));
  settle(loop);
  EXPECT_FALSE(got->has_value());
  stream->arrive(pair.first);
  ASSERT_TRUE(net::test::run_until(loop, [&] { return got->has_value(); }));
  EXPECT_TRUE(**got == text);
  EXPECT_TRUE(run(loop, send(pair.second, "back", true)));
  EXPECT_EQ(run(loop, read_to_end(stream)), "back");
  EXPECT_EQ(given_up, 0);
}

TEST_F(ZitiLateStream, ADirectionMayEndBeforeItArrives) {
  Probe flushed;
  stream->shutdown_send();
  stream->wait(Event::flushed, flushed);
  settle(loop);
  EXPECT_EQ(flushed.calls, 1);
  EXPECT_EQ(error_of(stream->try_write(net::as_buffer("a"))), Errc::closed);
  stream->arrive(pair.first);
  EXPECT_EQ(run(loop, read_to_end(pair.second)), "");
}

TEST_F(ZitiLateStream, AnEarlyEndGivesItUp) {
  Probe readable;
  stream->wait(Event::readable, readable);
  stream->reset();
  EXPECT_EQ(given_up, 1);
  settle(loop);
  EXPECT_EQ(readable.error, Errc::closed);
  stream->close();
  EXPECT_EQ(given_up, 1);
  stream->arrive(pair.first);
  EXPECT_TRUE(pair.first->closed());
}

TEST_F(ZitiLateStream, WhatWillNeverArriveFails) {
  Probe readable;
  EndProbe ended;
  stream->wait(Event::readable, readable);
  stream->watch_end(&ended);
  stream->fail(make_error_code(Errc::timed_out));
  settle(loop);
  EXPECT_EQ(readable.calls, 1);
  EXPECT_EQ(ended.calls, 1);
  EXPECT_EQ(error_of(stream->try_read(piece)), Errc::timed_out);
  EXPECT_EQ(error_of(stream->try_write(net::as_buffer("a"))), Errc::timed_out);
  Probe again;
  stream->wait(Event::writable, again);
  settle(loop);
  EXPECT_EQ(again.calls, 1);
  stream->reset();
  EXPECT_EQ(given_up, 0);
}

TEST_F(ZitiLateStream, APeersResetReachesTheWatcher) {
  EndProbe ended;
  stream->watch_end(&ended);
  stream->arrive(pair.first);
  pair.second->reset(make_error_code(Errc::draining));
  settle(loop);
  EXPECT_EQ(ended.calls, 1);
  EXPECT_EQ(error_of(stream->try_read(piece)), Errc::draining);
}

TEST_F(ZitiLateStream, DroppingItResetsWhatIsBelow) {
  stream->arrive(std::move(pair.first));
  Probe readable;
  stream->wait(Event::readable, readable);
  stream.reset();
  EXPECT_EQ(error_of(pair.second->try_read(piece)), Errc::reset);
  settle(loop);
  EXPECT_EQ(readable.calls, 0);
}

}  // namespace
}  // namespace simplon::overlay::ziti
