// A request head reads the same at every split of its bytes, and what is forwarded of it is read by
// the next hop as the same message.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "http/forwarding.hpp"

namespace {

using namespace simplon::http;

void require(bool holds) {
  if (!holds) std::abort();
}

struct Read {
  RequestHead head;
  std::size_t consumed = 0;
  bool done = false;
};

Read read(std::string_view in, std::size_t step) {
  RequestParser parser{Limits{}};
  Read result;
  for (std::size_t end = std::min(step, in.size());; end = std::min(end + step, in.size())) {
    const auto parsed =
        parser.parse(in.substr(result.consumed, end - result.consumed), result.head);
    if (!parsed) return result;
    result.consumed += parsed->consumed;
    result.done = parsed->done;
    if (result.done || end == in.size()) return result;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view in(reinterpret_cast<const char*>(data), size);
  const Read whole = read(in, in.size());
  for (const std::size_t step : {1UL, 2UL, 7UL}) {
    const Read split = read(in, step);
    require(split.done == whole.done);
    if (whole.done) require(split.consumed == whole.consumed);
  }
  if (!whole.done) return 0;
  const auto framing = frame_request(whole.head, Limits{});
  const auto to = destination_of(whole.head);
  if (!framing || !to) return 0;
  for (const auto policy : {Forwarding::pass, Forwarding::append, Forwarding::replace}) {
    std::string out;
    append_request(out, whole.head, *framing, *to, {.forwarding = policy, .client_address = "::1"},
                   "origin:1");
    const Read again = read(out, out.size());
    // Fields of ours may carry the head over a limit; nothing else may be wrong with it.
    if (!again.done && out.size() > in.size()) continue;
    require(again.done && again.consumed == out.size());
    const auto framed = frame_request(again.head, Limits{});
    const auto bound = destination_of(again.head);
    require(framed && bound);
    require(framed->body == framing->body && framed->length == framing->length);
    require(framed->upgrade == framing->upgrade && framed->keep_alive);
    require(again.head.method == whole.head.method && again.head.target == to->target);
    require(to->authority.empty() || bound->host == to->host);
  }
  return 0;
}
