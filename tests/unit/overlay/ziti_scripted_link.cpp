// One connection of a client to the scripted fabric: frames in and out, and what holds them back.
#include "unit/overlay/ziti_scripted_router.hpp"

namespace simplon::overlay::ziti::test {

using net::Event;

ScriptedLink::ScriptedLink(ScriptedFabric& fabric, std::string router, net::StreamPtr transport)
    : fabric_(fabric), router_(std::move(router)), transport_(std::move(transport)) {}

ScriptedLink::~ScriptedLink() {
  transport_->cancel_wait(Event::readable);
  transport_->cancel_wait(Event::writable);
}

void ScriptedLink::begin() { transport_->wait(Event::readable, *this); }

void ScriptedLink::ready(Event event, std::error_code) {
  const auto keep = shared_from_this();
  if (event == Event::readable) {
    read();
  } else {
    waits_writable_ = false;
    write();
  }
}

void ScriptedLink::read() {
  std::vector<std::byte> batch(64UL * 1024);
  for (int reads = 0; reads < 4 && alive_ && waits_for_.expired(); ++reads) {
    const auto got = transport_->try_read(batch);
    if (!got && got.error() == base::Errc::would_block) {
      break;
    }
    if (!got || *got == 0) {
      end(false);
      return;
    }
    if (!parser_.feed(std::span(batch).first(*got), *this)) {
      end(false);
    }
  }
  if (alive_ && waits_for_.expired()) {
    transport_->wait(Event::readable, *this);
  }
}

void ScriptedLink::flush_later() {
  if (alive_ && !std::exchange(flush_posted_, true)) {
    fabric_.loop_.at_end_of_turn([weak = weak_from_this()] {
      if (const auto link = weak.lock()) {
        link->flush_posted_ = false;
        if (!link->waits_writable_) {
          link->write();
        }
      }
    });
  }
}

void ScriptedLink::write() {
  while (alive_ && written_ < out_.size()) {
    const auto put = transport_->try_write(std::span(out_).subspan(written_));
    if (!put && put.error() == base::Errc::would_block) {
      waits_writable_ = true;
      transport_->wait(Event::writable, *this);
      break;
    }
    if (!put) {
      end(false);
      return;
    }
    written_ += *put;
  }
  if (written_ == out_.size()) {
    out_.clear();
    written_ = 0;
    if (closing_) {
      end(true);
      return;
    }
  } else if (written_ > 1024UL * 1024) {
    out_.erase(out_.begin(), out_.begin() + static_cast<std::ptrdiff_t>(written_));
    written_ = 0;
  }
  if (!congested()) {
    for (const auto& weak : std::exchange(held_, {})) {
      if (const auto link = weak.lock(); link && link->alive_) {
        link->waits_for_.reset();
        link->transport_->wait(Event::readable, *link);
      }
    }
  }
}

void ScriptedLink::end(bool in_order) {
  if (!std::exchange(alive_, false)) {
    return;
  }
  const auto keep = shared_from_this();
  transport_->cancel_wait(Event::readable);
  transport_->cancel_wait(Event::writable);
  if (in_order) {
    transport_->close();
  } else {
    transport_->reset();
  }
  for (const auto& weak : std::exchange(held_, {})) {
    if (const auto link = weak.lock(); link && link->alive_) {
      link->waits_for_.reset();
      link->transport_->wait(Event::readable, *link);
    }
  }
  fabric_.lost(*this);
}

void ScriptedLink::send_closed(std::uint32_t conn, std::string_view text,
                               std::optional<std::int32_t> reply_for) {
  FrameWriter closed(out_, content::kStateClosed, next_sequence());
  closed.u32(header::kConnId, conn);
  if (reply_for) {
    closed.u32(header::kReplyFor, static_cast<std::uint32_t>(*reply_for));
  }
  closed.body(text);
  flush_later();
}

void ScriptedLink::hello(const FrameView& frame) {
  const Faults& faults = fabric_.faults;
  if (faults.silent_hello) {
    return;
  }
  login_ = frame.string(header::kSessionToken);
  FrameWriter(out_, content::kResult, next_sequence())
      .u32(header::kReplyFor, static_cast<std::uint32_t>(frame.sequence()))
      .flag(header::kResultSuccess, faults.hello_refusal.empty())
      .flag(header::kSupportsBindSuccess)
      .body(faults.hello_refusal);
  closing_ = !faults.hello_refusal.empty() || faults.refused_logins.contains(login_);
  flush_later();
}

bool ScriptedLink::frame(const FrameView& frame) {
  fabric_.seen.push_back(frame.content());
  if (fabric_.intercept && fabric_.intercept(*this, frame)) {
    return alive_;
  }
  const std::uint32_t conn = frame.number(header::kConnId).value_or(0);
  const auto bound = fabric_.terminator(*this, conn);
  switch (frame.content()) {
    case content::kHello:
      hello(frame);
      break;
    case content::kConnect:
      fabric_.connect_request(*this, frame);
      break;
    case content::kBind:
      fabric_.bind_request(*this, frame);
      break;
    case content::kDialSuccess:
    case content::kDialFailed:
      if (const auto dial = dials_.extract(
              static_cast<std::int32_t>(frame.number(header::kReplyFor).value_or(0)))) {
        fabric_.answered(dial.mapped(), *this, frame);
      }
      break;
    case content::kData:
      forward(frame);
      break;
    case content::kUnbind:
    case content::kStateClosed:
      if (bound) {
        fabric_.remove(bound);
      } else if (frame.content() == content::kStateClosed) {
        close_circuit(conn);
      }
      break;
    case content::kUpdateBind:
    case content::kHealthEvent:
    case content::kConnInspectResponse:
      if (bound) {
        fabric_.change(*bound, frame);
      }
      break;
    case content::kUpdateToken: {
      fabric_.updated_tokens.emplace_back(frame.text());
      const bool refused = !fabric_.faults.refused_token_update.empty();
      FrameWriter(out_, refused ? content::kUpdateTokenFailure : content::kUpdateTokenSuccess,
                  next_sequence())
          .u32(header::kReplyFor, static_cast<std::uint32_t>(frame.sequence()))
          .body(fabric_.faults.refused_token_update);
      closing_ = refused;
      flush_later();
      break;
    }
    case content::kLatency:
      if (!fabric_.faults.silent_probes) {
        FrameWriter answer(out_, content::kResult, next_sequence());
        answer.u32(header::kReplyFor, static_cast<std::uint32_t>(frame.sequence()))
            .flag(header::kResultSuccess);
        if (const auto time = frame.header(header::kReflected)) {
          answer.header(header::kReflected, *time);
        }
        answer.end();
        flush_later();
      }
      break;
    default:
      break;
  }
  return alive_;
}

void ScriptedLink::forward(const FrameView& frame) {
  const auto at = circuits_.find(frame.number(header::kConnId).value_or(0));
  const auto to = at == circuits_.end() ? nullptr : at->second.link.lock();
  if (to == nullptr) {
    return;
  }
  FrameWriter data(to->out_, content::kData, to->next_sequence());
  data.u32(header::kConnId, at->second.conn);
  for (const std::int32_t id : {header::kFlags, header::kReflected}) {
    if (const auto value = frame.header(id)) {
      data.header(id, *value);
    }
  }
  data.body(Bytes(frame.body()));
  to->flush_later();
  if (to->congested()) {
    waits_for_ = to;
    to->held_.push_back(weak_from_this());
  }
}

void ScriptedLink::close_circuit(std::uint32_t conn) {
  const auto circuit = circuits_.extract(conn);
  if (!circuit) {
    return;
  }
  --fabric_.circuits_;
  if (const auto to = circuit.mapped().link.lock()) {
    to->circuits_.erase(circuit.mapped().conn);
    to->send_closed(circuit.mapped().conn, "close called");
  }
}

}  // namespace simplon::overlay::ziti::test
