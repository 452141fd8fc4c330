#include "overlay/ziti/channel_care.hpp"

#include <algorithm>
#include <utility>

#include "base/log.hpp"

namespace simplon::overlay::ziti {
namespace {

// How old a reading may be.
constexpr std::chrono::seconds kReading{5};
// How often a channel that nobody needs any more is looked at.
constexpr std::chrono::seconds kRetire{1};

net::awaitable<void> end_when_unused(net::Loop* loop, std::shared_ptr<Channel> channel,
                                     std::shared_ptr<const void> /*logged_in*/) {
  while (channel->up() && channel->circuits() > 0) {
    co_await net::sleep_until(*loop, loop->now() + kRetire);
  }
  channel->close();
}

// A router that does not take it closes the channel.
net::awaitable<void> show(std::shared_ptr<Channel> channel, std::string token) {
  const auto shown = co_await channel->update_token(std::move(token));
  if (!shown) {
    base::log().debug("overlay: router {} does not take the renewed login: {}",
                      channel->router().name, shown.error().text);
  }
}

}  // namespace

std::uint64_t RouterBook::open(const Router& router) {
  const std::scoped_lock lock(mutex_);
  const std::string key = key_of(router);
  routers_[key] = {.router = router, .last_error = {}};
  channels_[next_] = {.router = key, .reading = {}};
  return next_++;
}

void RouterBook::read(std::uint64_t channel, const Reading& reading) {
  const std::scoped_lock lock(mutex_);
  if (const auto found = channels_.find(channel); found != channels_.end()) {
    found->second.reading = reading;
  }
}

void RouterBook::close(std::uint64_t channel) {
  const std::scoped_lock lock(mutex_);
  channels_.erase(channel);
}

void RouterBook::error(const Router& router, std::string why) {
  const std::scoped_lock lock(mutex_);
  routers_[key_of(router)] = {.router = router, .last_error = std::move(why)};
}

std::vector<ZitiDetails::RouterInfo> RouterBook::routers() const {
  const std::scoped_lock lock(mutex_);
  std::map<std::string, ZitiDetails::RouterInfo> out;
  for (const auto& [key, known] : routers_) {
    out[key] = {.name = known.router.name,
                .address = net::to_string(known.router.endpoint),
                .last_error = known.last_error};
  }
  for (const auto& [number, line] : channels_) {
    auto& router = out[line.router];
    router.up = true;
    ++router.channels;
    router.circuits += line.reading.circuits;
    if (line.reading.latency) {
      router.latency =
          std::min(router.latency.value_or(*line.reading.latency), *line.reading.latency);
    }
  }
  std::vector<ZitiDetails::RouterInfo> list;
  list.reserve(out.size());
  for (auto& [key, router] : out) {
    list.push_back(std::move(router));
  }
  return list;
}

ChannelGauge::ChannelGauge(net::Loop& loop, std::shared_ptr<RouterBook> book,
                           std::shared_ptr<Channel> channel)
    : book_(std::move(book)),
      channel_(std::move(channel)),
      number_(book_->open(channel_->router())),
      loop_(loop),
      timer_(loop) {
  read();
}

ChannelGauge::~ChannelGauge() { book_->close(number_); }

void ChannelGauge::read() {
  book_->read(number_, {.latency = channel_->latency(), .circuits = channel_->circuits()});
  timer_.arm(loop_.now() + kReading, [this] { read(); });
}

net::awaitable<std::expected<std::shared_ptr<Channel>, EdgeError>> ChannelMaker::connect(
    std::shared_ptr<const ChannelMaker> self, net::Loop& loop, Router router, RouterLogin login) {
  Channel::Options options{.router = router,
                           .tls = self->tls,
                           .api_token = login.token,
                           .client_name = self->client_name,
                           .deadline = loop.now() + kConnectDeadline,
                           .budget = self->budget};
  auto made = co_await Channel::connect(loop, std::move(options));
  if (!made) {
    base::log().debug("overlay: router {}: {}", router.name, made.error().text);
    self->book->error(router, made.error().text);
    if (made.error().kind == EdgeErrorKind::login_refused) {
      self->desk->login_refused(router, login.token);
    }
    co_return made;
  }
  base::log().debug("overlay: connected to router {}", router.name);
  co_return made;
}

void retire(net::Loop& loop, std::shared_ptr<Channel> channel, const ChannelMaker& maker) {
  net::spawn(loop, "overlay: channel without a user",
             end_when_unused(&loop, std::move(channel), maker.logged_in.lock()));
}

void renew(net::Loop& loop, std::shared_ptr<Channel> channel, std::string token) {
  net::spawn(loop, "overlay: renewed login", show(std::move(channel), std::move(token)));
}

}  // namespace simplon::overlay::ziti
