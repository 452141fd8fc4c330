// The control side of an access or a frontend: keeps its port bound.
#include <utility>

#include "net/tcp.hpp"
#include "tunnel/entry_path.hpp"
#include "tunnel/runner.hpp"

namespace simplon::tunnel {
namespace {

class EntryRunner final : public Runner {
 public:
  EntryRunner(Surroundings& around, TunnelPtr tunnel, std::shared_ptr<OverlayLink> link,
              std::unique_ptr<net::Acceptor> acceptor)
      : Runner(around, std::move(tunnel), std::move(link)),
        path_(std::make_shared<EntryPath>(tunnel_, link_, traffic_)),
        listen_(*listen_of(tunnel_->spec)),
        bound_(std::move(acceptor)),
        retry_(around.control) {}

  void start() override { bind(); }
  void overlay_changed() override { update(); }

 private:
  void bind() {
    if (bound_ == nullptr) {
      auto endpoint = net::parse_endpoint(listen_);
      auto bound = endpoint ? net::listen_tcp(around_.control, *endpoint)
                            : std::unexpected(endpoint.error());
      if (!bound) {
        return failed(bind_problem(listen_, bound.error()));
      }
      bound_ = std::move(*bound);
    }
    accept_on_all_loops();
    update();
  }

  void failed(std::string problem) {
    listener_hop_.down(std::move(problem));
    retry_.arm(around_.control.now() + around_.settings.retry, [this] { bind(); });
    update();
  }

  // Every loop takes from the one queue of the bound socket. Once they all do, the first
  // descriptor is given back.
  void accept_on_all_loops() {
    const auto left = std::make_shared<std::size_t>(around_.loops.size());
    for (net::Loop* loop : around_.loops) {
      loop->post([path = path_, traffic = traffic_, &lane = *traffic_->lane(*loop), bound = bound_,
                  control = around_.control.poster(), left, this,
                  alive = std::weak_ptr(alive_)]() mutable {
        bool accepts = false;
        std::error_code error;
        if (!lane.drain->requested()) {
          auto own = bound->share(lane.loop);
          if (own) {
            accepts = true;
            lane.acceptor = std::move(*own);
            lane.acceptor->start([weak = std::weak_ptr(path), &lane](net::Accepted accepted) {
              if (const auto to = weak.lock()) {
                to->take(lane, std::move(accepted));
              }
            });
          } else {
            error = own.error();
          }
        }
        // The socket goes back to the loop that it was made for.
        control.post([bound = std::move(bound), left, accepts, error, this,
                      alive = std::move(alive)]() mutable {
          bound.reset();
          if (!alive.expired()) {
            opened(accepts, error, --*left == 0);
          }
        });
      });
    }
  }

  // One loop that accepts is enough to call it a listener.
  void opened(bool accepts, std::error_code error, bool last) {
    accepting_ = accepting_ || accepts;
    open_error_ = error ? error : open_error_;
    if (!last || draining_) {
      return;
    }
    bound_.reset();
    if (!accepting_) {
      return failed(bind_problem(listen_, open_error_));
    }
    listener_hop_.up();
    update();
  }

  void far_end(const std::string& error) override {
    if (error.empty() ? far_hop_.up() : far_hop_.down(error)) {
      update(Loudness::whisper);
    }
  }

  void stop_listening() override {
    retry_.cancel();
    bound_.reset();
  }

  Judgement judge() const override {
    Judgement out;
    const std::string link = link_problem();
    out.works = link.empty() && listener_hop_.state == HopState::up;
    if (listener_hop_.state == HopState::down) {
      out.failed = listener_hop_.last_error;
    } else if (link_->network() == nullptr) {
      out.failed = link + "; join it under that name, or delete this tunnel";
    }
    if (!link.empty()) {
      out.message = link;
    } else if (far_hop_.state == HopState::down) {
      out.message = far_hop_.last_error;
    }
    out.hops = {listener_hop_, link_hop(), far_hop_};
    return out;
  }

  const std::shared_ptr<EntryPath> path_;
  const std::string listen_;
  std::shared_ptr<net::Acceptor> bound_;
  bool accepting_ = false;
  std::error_code open_error_;
  HopStatus listener_hop_{.name = kListenerHop};
  HopStatus far_hop_{.name = kFarEndHop};
  net::Timer retry_;
};

}  // namespace

std::unique_ptr<Runner> make_entry_runner(Surroundings& around, TunnelPtr tunnel,
                                          std::shared_ptr<OverlayLink> link,
                                          std::unique_ptr<net::Acceptor> acceptor) {
  return std::make_unique<EntryRunner>(around, std::move(tunnel), std::move(link),
                                       std::move(acceptor));
}

}  // namespace simplon::tunnel
