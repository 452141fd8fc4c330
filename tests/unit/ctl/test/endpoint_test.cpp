#include "ctl/test/endpoint.hpp"

#include <gtest/gtest.h>

#include "net/memory.hpp"

namespace simplon::ctl {
namespace {

net::awaitable<void> serve(net::StreamPtr stream) {
  const auto endpoint = std::make_shared<Endpoint>(stream->loop());
  co_await http::serve_locally(std::move(stream), endpoint, {}, std::make_shared<http::Drain>());
}

// Sends everything and reads until the end, or until `enough` is in the answer.
net::awaitable<void> ask(net::StreamPtr stream, std::string request, std::string enough,
                         std::string* out) {
  (void)co_await net::write_all(*stream, net::as_buffer(request));
  std::array<std::byte, 65536> chunk{};
  while (enough.empty() || out->find(enough) == std::string::npos) {
    const auto size = co_await net::read_some(*stream, chunk);
    if (!size || *size == 0) {
      break;
    }
    out->append(reinterpret_cast<const char*>(chunk.data()), *size);
  }
  stream->loop().stop();
}

// The whole answer to a request without the lines that every request has.
std::string answer(const std::string& line, const std::string& rest = "\r\n",
                   const std::string& enough = {}) {
  net::Loop loop;
  auto [client, server] = net::make_memory_pair(loop);
  std::string out;
  net::spawn(loop, "server", serve(std::move(server)));
  net::spawn(loop, "client",
             ask(std::move(client), line + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + rest,
                 enough, &out));
  loop.run();
  return out;
}

std::string body(const std::string& answer) {
  const auto end = answer.find("\r\n\r\n");
  return end == std::string::npos ? std::string() : answer.substr(end + 4);
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(Endpoint, TheRootShowsTheRequest) {
  const auto shown = body(answer("GET /?a=1", "X-Probe: seen\r\n\r\n"));
  EXPECT_TRUE(shown.starts_with("GET /?a=1 HTTP/1.1\nHost: x\n")) << shown;
  EXPECT_TRUE(has(shown, "X-Probe: seen\n")) << shown;
}

TEST(Endpoint, BytesAreAsManyAsAskedAndTheSameEachTime) {
  const auto first = answer("GET /bytes/200003");
  EXPECT_TRUE(has(first, "Content-Length: 200003\r\n"));
  EXPECT_EQ(body(first).size(), 200003U);
  EXPECT_EQ(body(first), body(answer("GET /bytes/200003")));
  EXPECT_EQ(body(answer("GET /bytes/0")), "");
}

TEST(Endpoint, AHeadHasTheLengthAndNoBody) {
  const auto head = answer("HEAD /bytes/1099511627776");
  EXPECT_TRUE(has(head, "Content-Length: 1099511627776\r\n")) << head;
  EXPECT_EQ(body(head), "");
  EXPECT_EQ(body(answer("HEAD /sse")), "");
}

TEST(Endpoint, TheStatusIsTheOneAskedFor) {
  for (const auto* status : {"200", "204", "304", "418", "503"}) {
    EXPECT_TRUE(answer(std::string("GET /status/") + status)
                    .starts_with(std::string("HTTP/1.1 ") + status));
  }
}

TEST(Endpoint, EventsComeOneByOne) {
  const auto all = answer("GET /sse?ms=0&count=2");
  EXPECT_TRUE(has(all, "Content-Type: text/event-stream\r\n")) << all;
  EXPECT_TRUE(has(all, "data: event 1\n\n")) << all;
  EXPECT_TRUE(has(all, "data: event 2\n\n")) << all;
  const auto begun = answer("GET /sse?ms=600000", "\r\n", "data: event 1\n\n");
  EXPECT_FALSE(has(begun, "event 2"));
}

TEST(Endpoint, AnUploadIsAnsweredWithItsLengthAndDigest) {
  EXPECT_EQ(body(answer("POST /upload", "Content-Length: 3\r\n\r\nabc")),
            "{\"length\":3,\"sha256\":"
            "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"}\n");
  EXPECT_EQ(body(answer("PUT /upload",
                        "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n")),
            body(answer("POST /upload", "Content-Length: 3\r\n\r\nabc")));
  EXPECT_TRUE(has(answer("GET /upload"), "\"length\":0"));
}

TEST(Endpoint, ATrailerFollowsTheChunks) {
  const auto all = answer("GET /trailers", "TE: trailers\r\n\r\n");
  EXPECT_TRUE(has(all, "Trailer: ETag\r\n")) << all;
  EXPECT_TRUE(has(all, "\r\n0\r\nETag: \"")) << all;
}

TEST(Endpoint, SlowAnswersAfterTheTimeAskedFor) {
  EXPECT_EQ(body(answer("GET /slow?ms=1")), "waited 1 ms\n");
}

TEST(Endpoint, WhatMakesNoSenseIsRefused) {
  for (const auto* path :
       {"/bytes/", "/bytes/x", "/bytes/-1", "/bytes/99999999999999999999", "/status/100",
        "/status/600", "/status/", "/slow?ms=600001", "/slow?ms=", "/sse?ms=x", "/sse?count=-1"}) {
    EXPECT_TRUE(answer(std::string("GET ") + path).starts_with("HTTP/1.1 400")) << path;
  }
}

TEST(Endpoint, AnUnknownPathListsWhatThereIs) {
  const auto all = answer("GET /nothing/here");
  EXPECT_TRUE(all.starts_with("HTTP/1.1 404"));
  EXPECT_TRUE(has(all, "/echo"));
}

TEST(Endpoint, EchoIsForWebsocketsOnly) {
  EXPECT_TRUE(answer("GET /echo").starts_with("HTTP/1.1 426"));
}

}  // namespace
}  // namespace simplon::ctl
