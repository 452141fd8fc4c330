// Simplon's side of the interoperability test; go/peer.go is the other, run.py has the protocol.
//
//   yamux_interop [-drive] listen|PORT
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "net/async.hpp"
#include "net/tcp.hpp"
#include "overlay/embedded/session.hpp"

namespace {

using namespace simplon;
using net::awaitable;
using net::Errc;
using net::StreamPtr;
using overlay::SessionPtr;
using overlay::SessionRole;

[[noreturn]] void finish(int code) {
  std::fflush(nullptr);
  std::_Exit(code);
}

void check(bool ok, std::string_view what) {
  if (!ok) {
    std::fprintf(stderr, "FAILED: %.*s\n", static_cast<int>(what.size()), what.data());
    finish(1);
  }
}

std::string pattern(std::size_t size) {
  std::string out(size, '\0');
  for (std::size_t i = 0; i < size; ++i) {
    out[i] = static_cast<char>(i * 7 + i / 251);
  }
  return out;
}

std::string summary(std::string_view text) {
  std::uint32_t crc = ~0U;
  for (const char c : text) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) {
      crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xedb88320U : 0);
    }
  }
  return fmt::format("{} {:08x}\n", text.size(), ~crc);
}

struct Peer {
  net::Loop loop;
  SessionPtr session;
  std::string outcome;  // how the last held stream failed
  net::Gate failed{loop};
};

awaitable<std::string> read_line(StreamPtr stream) {
  std::string line;
  std::array<std::byte, 1> one{};
  while (!line.ends_with('\n')) {
    const auto got = co_await net::read_some(*stream, one);
    check(got && *got == 1, "a line");
    line += static_cast<char>(one[0]);
  }
  co_return line;
}

awaitable<std::string> read_all(StreamPtr stream) {
  std::string all;
  std::array<std::byte, 16384> piece;
  while (true) {
    const auto got = co_await net::read_some(*stream, piece);
    check(got.has_value(), got ? "" : "reading to the end: " + got.error().message());
    if (*got == 0) {
      co_return all;
    }
    all.append(reinterpret_cast<const char*>(piece.data()), *got);
  }
}

awaitable<void> send(StreamPtr stream, std::string text) {
  const auto sent = co_await net::write_all(*stream, net::as_buffer(text));
  check(sent.has_value(), "write");
}

awaitable<void> send_and_end(StreamPtr stream, std::string text) {
  co_await send(stream, std::move(text));
  stream->shutdown_send();
}

// Go resets only streams whose other end stays open for too long; a full window tells when.
awaitable<std::error_code> until_failure(StreamPtr stream) {
  std::array<std::byte, 16384> piece{};
  while (true) {
    const auto got = co_await net::read_some(*stream, piece);
    if (!got) {
      co_return got.error();
    }
    if (*got == 0) {
      break;
    }
  }
  while (true) {
    const auto sent = co_await net::write_all(*stream, piece);
    if (!sent) {
      co_return sent.error();
    }
  }
}

awaitable<void> echo_back(StreamPtr stream) {
  std::array<std::byte, 16384> piece;
  while (true) {
    const auto got = co_await net::read_some(*stream, piece);
    check(got.has_value(), "echo");
    if (*got == 0) {
      stream->close();
      co_return;
    }
    const auto sent = co_await net::write_all(*stream, net::Buffer(piece).first(*got));
    check(sent.has_value(), "echo back");
  }
}

awaitable<void> respond(Peer* peer, StreamPtr stream) {
  const std::string line = co_await read_line(stream);
  if (line == "echo\n") {
    co_await echo_back(stream);
  } else if (line == "count\n") {
    const std::string all = co_await read_all(stream);
    co_await send(stream, summary(all));
    stream->close();
  } else if (line.starts_with("send ")) {
    co_await send(stream, pattern(std::stoul(line.substr(5))));
    stream->close();
  } else if (line == "reset\n") {
    stream->reset(Errc::target_refused);
  } else if (line == "hold\n") {
    co_await send(stream, "held\n");
    const std::error_code why = co_await until_failure(stream);
    peer->outcome = why == Errc::reset ? "connection reset" : why.message();
    peer->failed.open();
  } else if (line == "outcome\n") {
    co_await peer->failed.wait_until();
    co_await send(stream, peer->outcome + "\n");
    stream->close();
  } else if (line == "bye\n") {
    peer->session->go_away();
    co_await send(stream, "ok\n");
    stream->close();
  } else {
    check(false, "unknown command " + line);
  }
}

awaitable<StreamPtr> open(Peer* peer, std::string command) {
  const auto stream = peer->session->open_stream();
  check(stream.has_value(), "open");
  co_await send(*stream, command + "\n");
  co_return *stream;
}

awaitable<std::string> answer(Peer* peer, std::string command) {
  const StreamPtr stream = co_await open(peer, std::move(command));
  stream->shutdown_send();
  co_return co_await read_all(stream);
}

awaitable<void> echo(Peer* peer, std::size_t size) {
  const StreamPtr stream = co_await open(peer, "echo");
  const std::string sent = pattern(size);
  net::spawn(peer->loop, "writer", send_and_end(stream, sent));
  const std::string got = co_await read_all(stream);
  check(got == sent, fmt::format("echo of {}", size));
}

struct Countdown {
  explicit Countdown(net::Loop& loop, int count) : left(count), done(loop) {}
  int left;
  net::Gate done;
};

awaitable<void> counted_echo(Peer* peer, std::size_t size, std::shared_ptr<Countdown> all) {
  co_await echo(peer, size);
  if (--all->left == 0) {
    all->done.open();
  }
}

awaitable<void> drive(Peer* peer) {
  co_await echo(peer, 0);
  co_await echo(peer, 1);
  co_await echo(peer, 8'000'000);

  const std::string sent = pattern(3'000'000);
  const StreamPtr count = co_await open(peer, "count");
  co_await send_and_end(count, sent);
  const std::string counted = co_await read_all(count);
  check(counted == summary(sent), "count");

  const std::string large = co_await answer(peer, "send 20000000");
  check(large == pattern(20'000'000), "send");

  constexpr int kStreams = 200;
  const auto all = std::make_shared<Countdown>(peer->loop, kStreams);
  for (std::size_t i = 0; i < kStreams; ++i) {
    net::spawn(peer->loop, "echo", counted_echo(peer, i * 777, all));
  }
  co_await all->done.wait_until();

  const StreamPtr unwanted = co_await open(peer, "reset");
  const std::error_code why = co_await until_failure(unwanted);
  check(why == Errc::reset, "reset by the peer: " + why.message());

  const StreamPtr held = co_await open(peer, "hold");
  const std::string ready = co_await read_line(held);
  check(ready == "held\n", "hold");
  held->reset(Errc::target_refused);
  const std::string told = co_await answer(peer, "outcome");
  check(told == "connection reset\n", "reset by us: " + told);

  const StreamPtr early = co_await open(peer, "echo");
  const std::string bye = co_await answer(peer, "bye");
  check(bye == "ok\n", "bye");
  const auto late = peer->session->open_stream();
  check(!late && late.error() == Errc::draining, "an open after a go-away");
  co_await send_and_end(early, "still here");
  const std::string echoed = co_await read_all(early);
  check(echoed == "still here", "echo after a go-away");

  const auto stats = peer->session->stats();
  check(stats.rtt.has_value(), "the ping's answer");
  check(!stats.simplon_peer, "a peer that announces no window");
  check(stats.streams == 0, fmt::format("{} streams are left", stats.streams));
  peer->session->close();
}

void start(Peer* peer, StreamPtr transport, SessionRole role, bool driving) {
  peer->session = overlay::Session::start(
      std::move(transport), role, {},
      {.inbound =
           [peer](StreamPtr stream) {
             net::spawn(peer->loop, "respond", respond(peer, std::move(stream)));
           },
       .ended =
           [driving](std::error_code why) {
             const bool in_order = driving ? !why : why == Errc::closed || why == Errc::link_lost;
             check(in_order, "the session's end: " + why.message());
             finish(0);
           }});
  if (driving) {
    net::spawn(peer->loop, "drive", drive(peer));
  }
}

awaitable<void> connect(Peer* peer, std::uint16_t port, bool driving) {
  const auto transport = co_await net::connect_tcp(peer->loop, "127.0.0.1", port,
                                                   peer->loop.now() + std::chrono::seconds(10));
  check(transport.has_value(), "connect");
  start(peer, *transport, SessionRole::client, driving);
}

}  // namespace

int main(int count, char** arguments) {
  const bool driving = count > 2 && std::string_view(arguments[1]) == "-drive";
  const std::string_view where = count > 1 ? arguments[count - 1] : "";
  Peer peer;
  std::unique_ptr<net::Acceptor> acceptor;
  if (where == "listen") {
    auto listening = net::listen_tcp(peer.loop, {"127.0.0.1", 0});
    check(listening.has_value(), "listen");
    acceptor = std::move(*listening);
    acceptor->start([&](net::Accepted accepted) {
      start(&peer, net::make_socket_stream(peer.loop, std::move(accepted.socket)),
            SessionRole::server, driving);
    });
    std::printf("port %d\n", acceptor->endpoint().port);
    std::fflush(stdout);
  } else {
    net::spawn(peer.loop, "connect",
               connect(&peer, static_cast<std::uint16_t>(std::atoi(where.data())), driving));
  }
  peer.loop.run();
  finish(1);
}
