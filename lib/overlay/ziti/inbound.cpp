#include "overlay/ziti/inbound.hpp"

#include <utility>

#include "base/ids.hpp"
#include "overlay/ziti/app_data.hpp"
#include "overlay/ziti/edge_message.hpp"
#include "overlay/ziti/late_stream.hpp"
#include "overlay/ziti/refusals.hpp"

namespace simplon::overlay::ziti {
namespace {

using base::Errc;
using base::Hop;

// The dial until it is answered; known to the stream, which may be given up first.
struct Unanswered {
  explicit Unanswered(std::unique_ptr<IncomingDial> incoming)
      : dial(std::move(incoming)), limit(dial->loop()) {}

  void reject(const Refusal& refusal) {
    limit.cancel();
    if (const auto taken = std::exchange(dial, nullptr)) {
      taken->reject(encode_rejection(refusal));
    }
  }

  std::unique_ptr<IncomingDial> dial;
  net::Timer limit;
};

constexpr std::size_t kMaxDialerName = 256;  // bytes; OpenZiti's own names are shorter

Refusal let_go() {
  return {.failure = {.hop = Hop::share,
                      .code = Errc::host_refused,
                      .detail = "the host let go of the stream"}};
}

// Only what the router says of the dialer: the name that it claims itself is anybody's. It goes
// into a header and into logs, so that a name with control characters, or a cut one, is no name.
std::string name_of(const IncomingDial& dial) {
  std::string name = printable(dial.dialer_name(), kMaxDialerName);
  return name == dial.dialer_name() ? name : std::string();
}

class ZitiInbound final : public Inbound {
 public:
  ZitiInbound(std::unique_ptr<IncomingDial> dial, StreamKind unsaid)
      : loop_(dial->loop()),
        data_(decode_app_data(dial->app_data())
                  .value_or(AppData{.kind = unsaid, .connection_id = base::new_id()})),
        unanswered_(std::make_shared<Unanswered>(std::move(dial))) {
    from_.peer.name = name_of(*unanswered_->dial);
    from_.may_run_frontends = data_.frontend;
    stream_ = std::make_shared<LateStream>(
        loop_, [unanswered = unanswered_] { unanswered->reject(let_go()); });
    unanswered_->limit.arm(loop_.now() + kAnswerWithin, [unanswered = std::weak_ptr(unanswered_),
                                                         stream = std::weak_ptr(stream_)] {
      if (const auto late = unanswered.lock()) {
        late->reject({.failure = {.hop = Hop::share,
                                  .code = Errc::timed_out,
                                  .detail = "the host could not answer within 4 seconds"}});
      }
      if (const auto open = stream.lock()) {
        open->fail(make_error_code(Errc::timed_out));
      }
    });
  }
  ~ZitiInbound() override { reject(let_go()); }
  ZitiInbound(const ZitiInbound&) = delete;
  ZitiInbound& operator=(const ZitiInbound&) = delete;

  net::Loop& loop() const override { return loop_; }
  const Identity& from() const override { return from_; }
  StreamKind kind() const override { return data_.kind; }
  const std::string& connection_id() const override { return data_.connection_id; }
  const std::string& on_behalf_of() const override { return data_.on_behalf_of; }
  net::StreamPtr stream() const override { return stream_; }

  void accept() override {
    if (const auto dial = std::exchange(unanswered_->dial, nullptr)) {
      unanswered_->limit.cancel();
      stream_->arrive(dial->accept());
    }
  }

  void reject(const Refusal& refusal) override {
    if (unanswered_->dial) {
      unanswered_->reject(refusal);
      stream_->fail(refusal.failure.code);
    }
  }

 private:
  net::Loop& loop_;
  const AppData data_;
  Identity from_;
  std::shared_ptr<Unanswered> unanswered_;
  std::shared_ptr<LateStream> stream_;
};

}  // namespace

std::unique_ptr<Inbound> make_inbound(std::unique_ptr<IncomingDial> dial, StreamKind unsaid) {
  return std::make_unique<ZitiInbound>(std::move(dial), unsaid);
}

}  // namespace simplon::overlay::ziti
