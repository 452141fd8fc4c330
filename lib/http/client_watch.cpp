#include "http/client_watch.hpp"

namespace simplon::http {

void ClientWatch::start() {
  if (!waiting_ && !inlet_.ended()) {
    waiting_ = true;
    inlet_.stream().wait(net::Event::readable, *this);
  }
}

void ClientWatch::stop() {
  if (std::exchange(waiting_, false)) {
    inlet_.stream().cancel_wait(net::Event::readable);
  }
}

void ClientWatch::ready(net::Event, std::error_code error) {
  waiting_ = false;
  if (error) {
    changed_(error);
    return;
  }
  const auto got = inlet_.try_fill();
  if (got) {
    if (*got == 0) {
      changed_({});
    } else {
      start();
    }
  } else if (got.error() == base::Errc::would_block) {
    start();
  } else if (got.error() == base::Errc::limit_exceeded) {
    changed_({});  // a full buffer ends the watch
  } else {
    changed_(got.error());
  }
}

}  // namespace simplon::http
