// An OpenZiti fabric for tests: edge routers' side of any number of channels, with services,
// terminators and circuits between them, and what a test wants to go wrong.
//
// It speaks with the codec of the client, and in the order and words of real routers (2.0.3): a
// Hello is answered before the login is looked at, a dial is tried twice, the reason of a
// StateClosed is not passed on, a full connection stops the reading of those that send to it.
//
// Ownership: the test's, on one loop; it goes before the loop. Session tokens are
// dial_token(service) and bind_token(service), API tokens are any text, which is also the dialer's
// name (identities changes that).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "net/memory.hpp"
#include "overlay/ziti/edge_message.hpp"
#include "overlay/ziti/frame.hpp"

namespace simplon::overlay::ziti::test {

/// Looked at whenever they apply.
struct Faults {
  std::set<std::string> refused_logins;              ///< API tokens: Hello works, then the end
  std::string hello_refusal;                         ///< the Hello's answer; empty: it works
  std::map<std::string, std::string> refused_dials;  ///< session token -> StateClosed's text
  std::map<std::string, std::string> refused_binds;
  std::string refused_token_update;
  bool silent_hello = false;
  bool silent_dials = false;  ///< a Connect gets no answer
  bool silent_binds = false;
  bool silent_probes = false;
  bool no_bind_success = false;
  bool no_host_key = false;  ///< StateConnected without the host's key
};

/// How a client asked for a binding, and how it changed it since.
struct SeenBinding {
  std::string service;
  std::string router;
  std::string listener_id;
  std::string identity;
  std::uint16_t cost = 0;
  std::uint8_t precedence = 0;
  bool healthy = true;
  bool inspected = false;  ///< the client has answered the question whether it lives
};

class ScriptedLink;

class ScriptedFabric {
 public:
  explicit ScriptedFabric(net::Loop& loop) : loop_(loop) {}
  ~ScriptedFabric();
  ScriptedFabric(const ScriptedFabric&) = delete;
  ScriptedFabric& operator=(const ScriptedFabric&) = delete;

  void add_service(const std::string& name, bool encrypted = true) { services_[name] = encrypted; }
  void remove_service(const std::string& name) { services_.erase(name); }
  static std::string dial_token(const std::string& service) { return "dial:" + service; }
  static std::string bind_token(const std::string& service) { return "bind:" + service; }

  /// The client's end of a new connection to that router.
  net::StreamPtr connect(const std::string& router = "router-1",
                         std::size_t capacity = net::kMemoryCapacity);
  /// Serves the router's end of a connection that is there already (TLS and all).
  void serve(std::string router, net::StreamPtr transport);

  // What there is.
  std::size_t circuits() const { return circuits_; }
  std::vector<SeenBinding> bindings() const;
  std::size_t terminators(const std::string& service) const;
  std::size_t connections(const std::string& router = "router-1") const;
  /// API tokens that arrived with UpdateToken.
  std::vector<std::string> updated_tokens;
  /// Content types in the order in which they came, of all connections.
  std::vector<std::int32_t> seen;
  std::size_t times_seen(std::int32_t content) const;

  // What happens.
  /// Resets the router's connections.
  void drop_router(const std::string& router = "router-1");
  /// StateClosed for all bindings of that service.
  void end_bindings(const std::string& service, const std::string& text = "session ended");
  /// StateClosed for all circuits, at both ends.
  void end_circuits(const std::string& text = "session closed");
  /// These bytes to all of the router's clients, as they are.
  void inject(std::string_view bytes, const std::string& router = "router-1");
  /// Sees each frame before the fabric does, and may answer it through `write`; true keeps it from
  /// the fabric.
  std::function<bool(ScriptedLink& from, const FrameView& frame)> intercept;
  static void write(ScriptedLink& to, const std::function<void(std::vector<std::byte>&)>& frames);

  Faults faults;
  /// API token -> identity's name; "" leaves the header out.
  std::map<std::string, std::string> identities;
  /// Of one try of two.
  std::chrono::seconds answer_timeout{5};

 private:
  friend class ScriptedLink;

  struct Attempt;
  struct Terminator {
    std::weak_ptr<ScriptedLink> link;
    std::uint32_t conn;
    std::vector<std::byte> key;
    std::string token;
    bool success_told = false;
    SeenBinding seen;
  };

  void connect_request(ScriptedLink& from, const FrameView& frame);
  void bind_request(ScriptedLink& from, const FrameView& frame);
  static void change(Terminator& bound, const FrameView& frame);
  void try_next(const std::shared_ptr<Attempt>& attempt, const std::string& failure);
  void answered(const std::shared_ptr<Attempt>& attempt, ScriptedLink& host,
                const FrameView& frame);
  void lost(ScriptedLink& link);
  std::shared_ptr<Terminator> terminator(const ScriptedLink& link, std::uint32_t conn) const;
  void remove(const std::shared_ptr<Terminator>& gone);

  net::Loop& loop_;
  std::map<std::string, bool> services_;  // whether encrypted
  std::vector<std::shared_ptr<ScriptedLink>> links_;
  std::vector<std::shared_ptr<Terminator>> terminators_;
  std::size_t circuits_ = 0;
  std::uint32_t next_circuit_ = 1;
};

/// One connection of a client.
class ScriptedLink final : public net::Waiter,
                           public FrameSink,
                           public std::enable_shared_from_this<ScriptedLink> {
 public:
  ScriptedLink(ScriptedFabric& fabric, std::string router, net::StreamPtr transport);
  ~ScriptedLink();
  void begin();

  const std::string& router() const { return router_; }
  const std::string& login() const { return login_; }
  std::int32_t next_sequence() { return ++sequence_; }
  std::vector<std::byte>& out() { return out_; }
  void flush_later();

 private:
  friend class ScriptedFabric;

  // The other end of a circuit.
  struct Far {
    std::weak_ptr<ScriptedLink> link;
    std::uint32_t conn;
  };

  void ready(net::Event event, std::error_code error) override;
  bool frame(const FrameView& frame) override;
  void read();
  void write();
  void end(bool in_order);
  void hello(const FrameView& frame);
  void forward(const FrameView& frame);
  void close_circuit(std::uint32_t conn);
  void send_closed(std::uint32_t conn, std::string_view text,
                   std::optional<std::int32_t> reply_for = std::nullopt);
  bool congested() const { return out_.size() - written_ > 256UL * 1024; }

  ScriptedFabric& fabric_;
  const std::string router_;
  const net::StreamPtr transport_;
  FrameParser parser_;
  std::string login_;
  bool alive_ = true;
  bool closing_ = false;  // once everything is written
  std::int32_t sequence_ = 0;
  std::uint32_t next_conn_ = kFirstRouterConnId;
  std::unordered_map<std::uint32_t, Far> circuits_;
  std::unordered_map<std::int32_t, std::shared_ptr<ScriptedFabric::Attempt>> dials_;
  std::vector<std::byte> out_;
  std::size_t written_ = 0;
  bool flush_posted_ = false;
  bool waits_writable_ = false;
  std::weak_ptr<ScriptedLink> waits_for_;          // its client does not read
  std::vector<std::weak_ptr<ScriptedLink>> held_;  // those that wait for this
};

}  // namespace simplon::overlay::ziti::test
