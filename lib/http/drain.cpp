#include "http/drain.hpp"

namespace simplon::http {

void Drain::request() {
  if (std::exchange(requested_, true)) {
    return;
  }
  for (auto& [id, wake] : std::exchange(wakers_, {})) {
    wake();
  }
}

Drain::Id Drain::on_request(std::function<void()> wake) {
  wakers_.emplace_back(next_, std::move(wake));
  return next_++;
}

void Drain::forget(Id id) {
  std::erase_if(wakers_, [id](const auto& waker) { return waker.first == id; });
}

}  // namespace simplon::http
