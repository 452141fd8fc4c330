// What every kind of stream must do, as one suite over pairs of connected streams.
//
// To add a kind: include this header in one test file of a binary and instantiate StreamSuite with
// a StreamKind. It runs on a clock that only moves when the test says so; real time ends a test
// that hangs. The deadline rules are functions that return a verdict (stream_rules.hpp), so that
// they can be proven on a stream that breaks them.
#pragma once

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "unit/net/harness.hpp"
#include "unit/net/stream_rules.hpp"

namespace simplon::net::test {

using StreamPair = std::pair<StreamPtr, StreamPtr>;

/// Keeps what a pair needs (acceptors, sessions) until the test ends.
class StreamSource {
 public:
  virtual ~StreamSource() = default;
  /// A connected pair on `loop`. May run the loop.
  virtual StreamPair connect(Loop& loop) = 0;
};

struct StreamKind {
  std::string name;
  std::function<std::unique_ptr<StreamSource>(Loop&)> make;
  /// The other side sees a reset although it left nothing unread.
  bool every_reset_shows = true;
  /// An end in order is told to who watches, also behind unread bytes.
  bool tells_of_ends = false;
  /// Writes of more than this must have met back-pressure. Kernel sockets hold some MiB.
  std::size_t holds_at_most = 64U * 1024 * 1024;
};

inline void PrintTo(const StreamKind& kind, std::ostream* to) { *to << kind.name; }
inline std::string name_of_kind(const testing::TestParamInfo<StreamKind>& info) {
  return info.param.name;
}

class StreamSuite : public testing::TestWithParam<StreamKind> {
 protected:
  void SetUp() override {
    source = GetParam().make(loop);
    std::tie(here, there) = source->connect(loop);
    ASSERT_NE(here, nullptr);
    ASSERT_NE(there, nullptr);
  }

  /// Waits until the probe was called so often.
  bool called(const Probe& probe, int times = 1) {
    return run_until(loop, [&] { return probe.calls >= times; });
  }

  base::ManualClock clock;
  Loop loop{clock};
  std::unique_ptr<StreamSource> source;
  StreamPtr here;
  StreamPtr there;
};

TEST_P(StreamSuite, BytesArriveBothWays) {
  EXPECT_TRUE(run(loop, send(here, "question")));
  EXPECT_TRUE(run(loop, send(there, "answer")));
  EXPECT_EQ(run(loop, read_count(there, 8)), "question");
  EXPECT_EQ(run(loop, read_count(here, 6)), "answer");
}

TEST_P(StreamSuite, NothingThereWouldBlock) {
  std::array<std::byte, 16> into;
  EXPECT_EQ(error_of(here->try_read(into)), Errc::would_block);
}

TEST_P(StreamSuite, GatheredPiecesArriveInOrder) {
  const std::array<Buffer, 5> pieces = {as_buffer("a"), as_buffer(""), as_buffer("bc"),
                                        as_buffer(""), as_buffer("def")};
  EXPECT_EQ(here->try_write(pieces), 6U);
  EXPECT_EQ(run(loop, read_count(there, 6)), "abcdef");
}

TEST_P(StreamSuite, WritingNothingTakesNothing) {
  EXPECT_EQ(here->try_write(std::span<const Buffer>()), 0U);
  EXPECT_EQ(here->try_write(Buffer()), 0U);
}

TEST_P(StreamSuite, BigTransfersGoBothWaysAtOnce) {
  const std::string forth = pattern(3'000'000);
  const std::string back = pattern(2'000'000);
  const auto sent = start(loop, send(here, forth, true));
  const auto answered = start(loop, send(there, back, true));
  const auto at_there = start(loop, read_to_end(there));
  const auto at_here = run(loop, read_to_end(here));
  ASSERT_TRUE(run_until(loop, [&] { return at_there->has_value(); }));
  EXPECT_TRUE(at_here == back);
  EXPECT_TRUE(**at_there == forth);
}

TEST_P(StreamSuite, TheOtherDirectionLivesOnAfterAHalfClose) {
  EXPECT_TRUE(run(loop, send(here, "request", true)));
  EXPECT_EQ(run(loop, read_to_end(there)), "request");
  const std::string response = pattern(500'000);
  const auto sent = start(loop, send(there, response, true));
  EXPECT_TRUE(run(loop, read_to_end(here)) == response);
}

TEST_P(StreamSuite, TheEndOfTheStreamStays) {
  here->shutdown_send();
  here->shutdown_send();
  EXPECT_EQ(run(loop, read_to_end(there)), "");
  std::array<std::byte, 16> into;
  EXPECT_EQ(there->try_read(into), 0U);
  EXPECT_EQ(run(loop, read_to_end(there)), "");
}

TEST_P(StreamSuite, NothingIsWrittenAfterAHalfClose) {
  here->shutdown_send();
  EXPECT_EQ(error_of(here->try_write(as_buffer("x"))), Errc::closed);
}

TEST_P(StreamSuite, AHalfCloseDeliversWhatWasWrittenBefore) {
  const std::string text = pattern(1'000'000);
  const auto sent = start(loop, send(here, text, true));
  EXPECT_TRUE(run(loop, read_to_end(there)) == text);
}

TEST_P(StreamSuite, CloseDeliversWhatWasWrittenBefore) {
  const auto taken = here->try_write(as_buffer(pattern(10'000)));
  ASSERT_TRUE(taken);
  here->close();
  here.reset();
  EXPECT_EQ(run(loop, read_to_end(there)), pattern(10'000).substr(0, *taken));
}

TEST_P(StreamSuite, TheOtherSidesCloseIsAnEndOfStream) {
  Probe reader;
  there->wait(Event::readable, reader);
  here->close();
  ASSERT_TRUE(called(reader));
  EXPECT_FALSE(reader.error);
  EXPECT_EQ(run(loop, read_to_end(there)), "");
}

TEST_P(StreamSuite, CloseWakesPendingWaits) {
  Probe reader;
  here->wait(Event::readable, reader);
  here->close();
  EXPECT_EQ(reader.calls, 0) << "called from within close()";
  ASSERT_TRUE(called(reader));
  EXPECT_EQ(reader.error, Errc::closed);
  here->close();
  EXPECT_TRUE(here->closed());
}

TEST_P(StreamSuite, ResetWakesPendingWaits) {
  Probe reader;
  here->wait(Event::readable, reader);
  here->reset();
  here->reset();
  ASSERT_TRUE(called(reader));
  EXPECT_EQ(reader.error, Errc::closed);
}

TEST_P(StreamSuite, NothingWorksAfterAClose) {
  here->close();
  std::array<std::byte, 16> into;
  EXPECT_EQ(error_of(here->try_read(into)), Errc::closed);
  EXPECT_EQ(error_of(here->try_write(as_buffer("x"))), Errc::closed);
  here->shutdown_send();
  for (const Event event : {Event::readable, Event::writable, Event::flushed}) {
    Probe probe;
    here->wait(event, probe);
    ASSERT_TRUE(called(probe));
    EXPECT_EQ(probe.error, Errc::closed);
  }
}

TEST_P(StreamSuite, AResetIsNoEndOfStream) {
  EXPECT_TRUE(run(loop, send(there, "never read")));
  const auto at_there = start(loop, read_to_end(there));
  loop.poll();
  here->reset();
  ASSERT_TRUE(run_until(loop, [&] { return at_there->has_value(); }));
  EXPECT_EQ(error_of(**at_there), Errc::reset);
  EXPECT_FALSE(there->try_write(as_buffer("x")));
}

TEST_P(StreamSuite, AResetWakesTheOtherSidesReader) {
  Probe reader;
  there->wait(Event::readable, reader);
  here->reset();
  ASSERT_TRUE(called(reader));
  const auto seen = run(loop, read_to_end(there));
  if (GetParam().every_reset_shows) {
    EXPECT_EQ(error_of(seen), Errc::reset);
  } else {
    EXPECT_EQ(seen.value_or(""), "");
  }
}

TEST_P(StreamSuite, AStreamThatIsDroppedIsReset) {
  EXPECT_TRUE(run(loop, send(there, "never read")));
  here.reset();
  EXPECT_EQ(error_of(run(loop, read_to_end(there))), Errc::reset);
}

TEST_P(StreamSuite, AResetAfterACloseIsStronger) {
  here->close();
  here->reset();
  EXPECT_TRUE(here->closed());
  here->close();
}

TEST_P(StreamSuite, AReasonArrivesWhereItIsCarried) {
  EXPECT_TRUE(run(loop, send(there, "never read")));
  here->reset(make_error_code(Errc::target_refused));
  const auto seen = run(loop, read_to_end(there));
  EXPECT_EQ(error_of(seen), here->carries_reason() ? Errc::target_refused : Errc::reset);
  EXPECT_FALSE(there->try_write(as_buffer("x")));
}

// Nobody reads or writes: whoever holds this stream waits for something else.
TEST_P(StreamSuite, AResetIsToldToWhoWatchesForTheEnd) {
  EXPECT_TRUE(run(loop, send(there, "never read")));
  EXPECT_TRUE(run(loop, send(here, "not read, either")));
  settle(loop);
  EndProbe early;
  there->watch_end(&early);
  settle(loop);
  EXPECT_EQ(early.calls, 0);
  here->reset();
  ASSERT_TRUE(run_until(loop, [&] { return early.calls == 1; }));
  EndProbe late;
  there->watch_end(&late);
  EXPECT_EQ(late.calls, 0) << "called from within";
  ASSERT_TRUE(run_until(loop, [&] { return late.calls == 1; }));
}

TEST_P(StreamSuite, AnEndOfThePeersDirectionIsNotToldAsAReset) {
  EXPECT_TRUE(run(loop, send(here, "not read", true)));
  EndProbe watcher;
  there->watch_end(&watcher);
  settle(loop);
  EXPECT_EQ(run(loop, read_to_end(there)), "not read");
  settle(loop);
  EXPECT_EQ(watcher.calls, 0);
  there->watch_end(nullptr);
}

TEST_P(StreamSuite, AnEndBehindUnreadBytesIsToldByKindsThatSeeIt) {
  const std::string text = pattern(10'000);
  EXPECT_TRUE(run(loop, send(here, text)));
  EndProbe watcher;
  there->watch_end(&watcher);
  settle(loop);
  EXPECT_EQ(watcher.peer_ends, 0);
  here->shutdown_send();
  if (!GetParam().tells_of_ends) {
    settle(loop);
    EXPECT_EQ(watcher.peer_ends, 0);
    EXPECT_EQ(there->peek(text.size()), std::nullopt);
    there->watch_end(nullptr);
    return;
  }
  ASSERT_TRUE(run_until(loop, [&] { return watcher.peer_ends == 1; }));
  EXPECT_EQ(there->peek(text.size()), text);
  EXPECT_EQ(there->peek(text.size() - 1), std::nullopt);
  EndProbe late;
  there->watch_end(&late);
  ASSERT_TRUE(run_until(loop, [&] { return late.peer_ends == 1; }));
  EXPECT_TRUE(run(loop, send(there, "lives on")));
  EXPECT_EQ(run(loop, read_count(there, 4)), text.substr(0, 4));
  EXPECT_EQ(there->peek(text.size()), text.substr(4)) << "and what was looked at is still there";
  EXPECT_EQ(run(loop, read_to_end(there)), text.substr(4));
  EXPECT_EQ(there->peek(1), "");
  settle(loop);
  EXPECT_EQ(late.calls, 0);
  EXPECT_EQ(late.peer_ends, 1);
  // A reset can still come behind it.
  if (GetParam().every_reset_shows) {
    here->reset();
    EXPECT_TRUE(run_until(loop, [&] { return late.calls == 1; }));
  }
  there->watch_end(nullptr);
}

TEST_P(StreamSuite, AWriterOfAStreamThatIsResetWakes) {
  ASSERT_LT(fill(*here), GetParam().holds_at_most);
  Probe writer;
  here->wait(Event::writable, writer);
  there->reset();
  ASSERT_TRUE(called(writer));
  EXPECT_FALSE(run(loop, send(here, std::string(100'000'000, 'x'))));
}

TEST_P(StreamSuite, AReaderThatDoesNotReadHoldsTheWriterBack) {
  const std::size_t held = fill(*here, GetParam().holds_at_most);
  ASSERT_LT(held, GetParam().holds_at_most);
  Probe writer;
  here->wait(Event::writable, writer);
  loop.poll();
  EXPECT_EQ(writer.calls, 0);
  const auto received = start(loop, read_count(there, held));
  ASSERT_TRUE(called(writer));
  EXPECT_FALSE(writer.error);
  ASSERT_TRUE(run_until(loop, [&] { return received->has_value(); }));
  EXPECT_TRUE(here->try_write(as_buffer("more")));
  EXPECT_EQ(run(loop, read_count(there, 4)), "more");
}

TEST_P(StreamSuite, FlushedIsReachedOnceTheOtherSideReads) {
  const std::size_t held = fill(*here);
  const auto flushed = start(loop, flush(*here));
  const auto received = start(loop, read_count(there, held));
  EXPECT_TRUE(run_until(loop, [&] { return flushed->has_value() && received->has_value(); }));
  EXPECT_TRUE(**flushed);
}

TEST_P(StreamSuite, AWaitIsNeverAnsweredFromWithin) {
  EXPECT_TRUE(run(loop, send(there, "x")));
  EXPECT_EQ(run(loop, wait(*here, Event::readable)), std::error_code{});
  for (const Event event : {Event::readable, Event::writable, Event::flushed}) {
    Probe probe;
    here->wait(event, probe);
    EXPECT_EQ(probe.calls, 0);
    ASSERT_TRUE(called(probe));
    EXPECT_FALSE(probe.error);
    EXPECT_EQ(probe.calls, 1);
  }
  EXPECT_EQ(read_now(*here), "x");
}

TEST_P(StreamSuite, ACancelledWaitIsNotAnswered) {
  Probe first;
  here->wait(Event::readable, first);
  loop.poll();
  here->cancel_wait(Event::readable);
  here->cancel_wait(Event::readable);
  EXPECT_TRUE(run(loop, send(there, "x")));
  Probe second;
  here->wait(Event::readable, second);
  ASSERT_TRUE(called(second));
  EXPECT_EQ(first.calls, 0);
  EXPECT_EQ(read_now(*here), "x");
}

TEST_P(StreamSuite, ReadingAndWritingAreWaitedForIndependently) {
  const std::size_t held = fill(*here);
  Probe reader;
  Probe writer;
  here->wait(Event::readable, reader);
  here->wait(Event::writable, writer);
  EXPECT_TRUE(run(loop, send(there, "x")));
  ASSERT_TRUE(called(reader));
  EXPECT_EQ(writer.calls, 0);
  EXPECT_EQ(read_now(*here), "x");
  const auto received = start(loop, read_count(there, held));
  ASSERT_TRUE(called(writer));
  EXPECT_EQ(reader.calls, 1);
}

TEST_P(StreamSuite, ADeadlineEndsAWait) {
  EXPECT_TRUE(deadline_ends_a_wait(clock, *here, Event::readable));
  EXPECT_TRUE(works_both_ways(loop, here, there));
  fill(*here);
  EXPECT_TRUE(deadline_ends_a_wait(clock, *here, Event::writable));
}

TEST_P(StreamSuite, ADeadlineMovedEarlierEndsThePendingWaitThen) {
  EXPECT_TRUE(deadline_moved_earlier_applies(clock, *here, Event::readable));
  EXPECT_TRUE(works_both_ways(loop, here, there));
  fill(*here);
  EXPECT_TRUE(deadline_moved_earlier_applies(clock, *here, Event::writable));
}

TEST_P(StreamSuite, ADeadlineSetUnderAPendingWaitApplies) {
  EXPECT_TRUE(deadline_set_later_on_applies(clock, *here, Event::readable));
  EXPECT_TRUE(works_both_ways(loop, here, there));
  fill(*here);
  EXPECT_TRUE(deadline_set_later_on_applies(clock, *here, Event::writable));
}

TEST_P(StreamSuite, ADeadlineMovedLaterLetsThePendingWaitGoOn) {
  EXPECT_TRUE(deadline_moved_later_applies(clock, *here, Event::readable));
  EXPECT_TRUE(works_both_ways(loop, here, there));
  fill(*here);
  EXPECT_TRUE(deadline_moved_later_applies(clock, *here, Event::writable));
}

TEST_P(StreamSuite, ADeadlineClearedUnderAPendingWaitIsGone) {
  EXPECT_TRUE(deadline_cleared_applies(clock, *here, Event::readable));
  EXPECT_TRUE(works_both_ways(loop, here, there));
  fill(*here);
  EXPECT_TRUE(deadline_cleared_applies(clock, *here, Event::writable));
}

TEST_P(StreamSuite, APassedDeadlineFailsWaitsUntilItIsMoved) {
  EXPECT_TRUE(passed_deadline_fails_waits(clock, *here, Event::readable));
  EXPECT_TRUE(works_both_ways(loop, here, there));
}

TEST_P(StreamSuite, APassedDeadlineDoesNotTouchTries) {
  here->set_deadline(Direction::receive, clock.now());
  here->set_deadline(Direction::send, clock.now());
  std::array<std::byte, 16> into;
  EXPECT_EQ(error_of(here->try_read(into)), Errc::would_block);
  EXPECT_TRUE(here->try_write(as_buffer("x")));
  EXPECT_EQ(run(loop, read_count(there, 1)), "x");
}

TEST_P(StreamSuite, EachDirectionHasItsOwnDeadline) {
  Probe reader;
  here->set_deadline(Direction::send, clock.now() + std::chrono::seconds(1));
  here->wait(Event::readable, reader);
  clock.advance(std::chrono::seconds(2));
  loop.poll();
  EXPECT_EQ(reader.calls, 0);
  here->clear_deadline(Direction::send);
  EXPECT_TRUE(run(loop, send(there, "x")));
  ASSERT_TRUE(called(reader));
  EXPECT_FALSE(reader.error);
}

// What was in the kernel or under way when the time ran out is not lost.
TEST_P(StreamSuite, BytesThatComeAfterATimeoutAreRead) {
  here->set_deadline(Direction::receive, clock.now() + std::chrono::seconds(1));
  const auto timed_out = start(loop, read_count(here, 5));
  loop.poll();
  clock.advance(std::chrono::seconds(1));
  ASSERT_TRUE(run_until(loop, [&] { return timed_out->has_value(); }));
  EXPECT_EQ(error_of(**timed_out), Errc::timed_out);
  EXPECT_TRUE(run(loop, send(there, "after")));
  here->clear_deadline(Direction::receive);
  EXPECT_EQ(run(loop, read_count(here, 5)), "after");
}

TEST_P(StreamSuite, WaitsThatArePendingWhenTheStreamDiesAreForgotten) {
  Probe reader;
  here->set_deadline(Direction::receive, clock.now() + std::chrono::seconds(1));
  here->wait(Event::readable, reader);
  here.reset();
  clock.advance(std::chrono::seconds(2));
  loop.poll();
  EXPECT_EQ(reader.calls, 0);
}

}  // namespace simplon::net::test
