#include "overlay/services.hpp"

#include <utility>

#include "net/memory.hpp"
#include "overlay/embedded/open.hpp"

namespace simplon::overlay {
namespace {

Refusal refusal(base::Errc code, std::string detail) {
  return {.failure = {.hop = base::Hop::share, .code = code, .detail = std::move(detail)}};
}

}  // namespace

bool Services::add(const std::string& name, Service service) {
  const std::scoped_lock lock(mutex_);
  return services_.emplace(name, std::make_shared<const Service>(std::move(service))).second;
}

void Services::remove(std::string_view name) {
  std::shared_ptr<const Service> last;  // its handler dies outside the lock
  const std::scoped_lock lock(mutex_);
  if (const auto found = services_.find(name); found != services_.end()) {
    last = std::move(found->second);
    services_.erase(found);
  }
}

void Services::clear() {
  decltype(services_) last;  // the handlers die outside the lock
  const std::scoped_lock lock(mutex_);
  last.swap(services_);
}

std::shared_ptr<const Services::Service> Services::find(std::string_view name) const {
  const std::scoped_lock lock(mutex_);
  const auto found = services_.find(name);
  return found == services_.end() ? nullptr : found->second;
}

net::awaitable<void> receive(std::shared_ptr<const Services> services, net::StreamPtr stream,
                             Identity from) {
  auto request = co_await read_open(stream, stream->loop().now() + kOpenDeadline);
  if (!request) {
    stream->reset(request.error());
    co_return;
  }
  const auto service = services->find(request->service);
  const bool frontend = request->frontend;
  const bool may = from.may_run_frontends;
  const std::string who = from.peer.name;
  const std::string name = request->service;
  auto inbound = make_inbound(std::move(stream), std::move(*request), std::move(from));
  if (!service) {
    inbound->reject(
        refusal(base::Errc::not_hosted, "this agent does not host \"" + name + "\" (any more)"));
  } else if (frontend && !may) {
    inbound->reject(
        refusal(base::Errc::not_permitted, "\"" + who + "\" was not invited to run frontends"));
  } else if (frontend && !service->allow_frontends) {
    inbound->reject(refusal(base::Errc::not_permitted, "\"" + name + "\" is not public"));
  } else {
    service->handler(std::move(inbound));
  }
}

std::expected<Dialed, Refusal> open_local(std::shared_ptr<const Services> services, net::Loop& loop,
                                          const DialOptions& options, Identity from) {
  auto [near, far] = net::make_memory_pair(loop);
  auto opened = start_open(std::move(near), open_request(options));
  if (!opened) {
    far->reset();
    return std::unexpected(
        Refusal{.failure = {.hop = base::Hop::overlay,
                            .code = base::Errc::link_lost,
                            .detail = "the open could not be sent: " + opened.error().message()}});
  }
  net::spawn(loop, "open", receive(std::move(services), std::move(far), std::move(from)));
  return Dialed{
      .stream = std::move(opened->stream), .status = std::move(opened->status), .path = "local"};
}

}  // namespace simplon::overlay
