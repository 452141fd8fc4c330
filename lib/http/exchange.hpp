// One request of a client and its response: checked, routed, sent to an upstream, answered.
//
// Owned by the coroutine that serves the connection; lives for one request. Threads: the client's
// loop. Cancellation: the end of the client's connection resets the upstream, and the reverse.
#pragma once

#include <expected>
#include <memory>
#include <optional>
#include <string>

#include "http/client_watch.hpp"
#include "http/engine.hpp"
#include "http/error_response.hpp"
#include "http/outgoing_head.hpp"
#include "http/request_body.hpp"

namespace simplon::http {

/// What all exchanges of a connection share.
struct Connection {
  std::shared_ptr<Inlet> client;
  std::shared_ptr<Ends> ends;
  std::shared_ptr<const Policy> policy;
  Client who;
  std::string id;
  std::shared_ptr<Drain> drain;

  net::Loop& loop() const { return client->stream().loop(); }
  net::TimePoint now() const { return loop().now(); }
  bool draining() const { return drain && drain->requested(); }
};

/// Memory that the exchanges of a connection use one after the other.
struct Scratch {
  explicit Scratch(const Limits& limits) : parser(limits) {}
  ResponseParser parser;
  ResponseHead response;
  std::string out;
};

class Exchange final : private net::EndWatcher {
 public:
  /// What becomes of the client's connection.
  enum class End : std::uint8_t {
    keep,              ///< the next request may come
    close,             ///< in order
    linger,            ///< in order, though the client may still be sending
    cut,               ///< a response was not finished: the client must see that
    gone,              ///< already closed
    switch_protocols,  ///< HTTP ends: switched() are the streams
  };

  /// Both streams of an upgraded connection, with what either side sent behind its head.
  struct Switched {
    net::StreamPtr client;
    net::StreamPtr upstream;
  };

  Exchange(const Connection& connection, const RequestHead& request, Scratch& scratch);
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  /// Reports the outcome to the ends, unless the protocol was switched: then it is not over yet.
  net::awaitable<End> run();
  Switched take_switched() { return std::move(switched_); }

 private:
  enum class Attempt : std::uint8_t { answered, retry };

  // exchange.cpp: towards the upstream
  net::awaitable<End> proceed();
  std::expected<Destination, ErrorResponse> admit();
  bool ends_here() const;
  net::awaitable<Attempt> attempt(const Destination& to);
  net::awaitable<bool> connect();
  bool is_stale();
  net::awaitable<bool> send(const Destination& to);
  net::awaitable<bool> send_with_body();
  void request_sent();
  void client_changed(std::error_code error);
  /// The client's stream was cut on this side, while perhaps nothing waits for it.
  void ended() override;
  /// The client ended its direction, while perhaps nobody reads that far.
  void peer_ended() override;
  void arm_upstream_deadline();
  void drop_upstream();
  net::awaitable<void> finish();

  // own_answers.cpp: what the upstream does not answer
  bool may_persist() const { return framing_.keep_alive && !connection_.draining(); }
  net::awaitable<End> refuse(ErrorResponse error);
  net::awaitable<End> answer_options();
  base::Hop behind() const;
  ErrorResponse bad_response(const Verdict& verdict) const;
  ErrorResponse no_response() const;

  // response.cpp: back to the client
  net::awaitable<bool> hear();
  net::awaitable<bool> read_head();
  net::awaitable<bool> forward_interim();
  bool invite();
  net::awaitable<Attempt> not_heard();
  bool may_retry(const std::optional<base::Failure>& refusal) const;
  net::awaitable<End> deliver();
  Delivery plan_delivery() const;
  bool ends_early() const;
  net::awaitable<End> relay(const Delivery& delivery);
  net::awaitable<End> after_response(const Delivery& delivery);
  net::awaitable<bool> let_request_end(bool close);
  void release_upstream();
  net::awaitable<End> switch_protocols();
  End lose_client();
  End cut(const Delivery& delivery);

  const Connection& connection_;
  const Policy& policy_;
  const RequestHead& request_;
  Inlet& client_;
  ClientWatch watch_;
  RequestFraming framing_;
  std::optional<References> references_;  // where the policy rewrites them
  std::string route_;
  std::string via_;                    // our pseudonym on this route; empty: none
  bool routed_ = false;                // the head is a request that can be answered in order
  std::shared_ptr<RequestBody> body_;  // none: the request has no body

  Upstream upstream_;
  std::optional<Inlet> inlet_;  // of upstream_
  ResponseParser& parser_;
  ResponseHead& response_;
  ResponseFraming response_framing_;
  std::error_code failure_;           // why no response came
  std::optional<Verdict> malformed_;  // or what was wrong with it
  net::TimePoint response_deadline_ = net::TimePoint::max();
  bool awaiting_head_ = true;
  bool heard_ = false;  // a byte of the response has come
  bool sent_ = false;   // a byte of the request may have left
  bool fresh_ = false;  // the second attempt
  bool client_lost_ = false;
  bool half_closed_ = false;  // the client has ended its direction, and the request was whole
  bool deadline_set_ = false;
  bool telling_ = false;  // an interim response is being written
  bool invited_ = false;  // the client has had a `100 Continue` of ours

  End end_ = End::close;
  Switched switched_;
  Ends::Outcome outcome_;
  std::string& out_;
};

}  // namespace simplon::http
