// A request head reads the same at every split of its bytes, and what is forwarded of it is read by
// the next hop as the same message.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "http/outgoing_head.hpp"
#include "split_reading.hpp"

using namespace simplon::http;
using fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view in(reinterpret_cast<const char*>(data), size);
  const auto whole = fuzz::read_at_every_split<RequestParser, RequestHead>(in);
  if (!whole.done) return 0;
  const auto framing = frame_request(whole.head, Limits{});
  const auto to = destination_of(whole.head);
  if (!framing || !to) return 0;
  for (const auto forwarding : {Forwarding::pass, Forwarding::append, Forwarding::replace}) {
    std::string out;
    append_request(out, whole.head,
                   {.framing = *framing,
                    .to = *to,
                    .policy = {},
                    .client = {.forwarding = forwarding, .address = "::1", .peer = {}},
                    .via = "via",
                    .upstream_authority = "origin:1"});
    const auto again = fuzz::read<RequestParser, RequestHead>(out, out.size());
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
