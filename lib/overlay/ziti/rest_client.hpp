// Requests to one HTTPS server, or on this host an HTTP one: connections are kept and used again.
// connections kept and used again.
//
// Ownership: shared with the exchanges that are under way. Everything is for its loop.
// Cancellation: close() ends the exchanges that are under way, with `closed`.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "net/async.hpp"
#include "net/endpoint.hpp"
#include "net/tls.hpp"
#include "overlay/ziti/rest_answer.hpp"

namespace simplon::overlay::ziti {

/// One exchange, connecting included; a server that takes longer counts as gone.
inline constexpr std::chrono::seconds kExchangeTimeout{15};

/// The `name` of an ApiError: the server closed the connection because of our certificate.
inline constexpr char kCertificateRefused[] = "CERTIFICATE_REFUSED";

struct RestRequest {
  std::string method = "GET";
  std::string target;  ///< path and query, as they go on the wire
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::string content_type = "application/json";  ///< sent if there is a body
  std::string accept = "application/json";
  /// Doing it twice does no harm: sent again when a kept connection had ended meanwhile.
  bool repeatable = true;
};

class RestClient : public std::enable_shared_from_this<RestClient> {
 public:
  /// `tls` speaks http/1.1; null: without TLS.
  RestClient(net::Loop& loop, net::Endpoint server, std::shared_ptr<const net::TlsContext> tls);
  ~RestClient();
  RestClient(const RestClient&) = delete;
  RestClient& operator=(const RestClient&) = delete;

  /// Any status is an answer; no answer is an ApiError with status 0.
  net::awaitable<std::expected<RestAnswer, ApiError>> exchange(RestRequest request,
                                                               net::TimePoint deadline);
  void close();
  /// A client of the same server.
  std::shared_ptr<RestClient> another() const {
    return std::make_shared<RestClient>(loop_, server_, tls_);
  }
  const net::Endpoint& server() const { return server_; }

 private:
  using Answer = std::expected<RestAnswer, ApiError>;
  struct Attempt {
    Answer answer;
    bool untouched = false;  ///< not one byte of an answer came
  };

  static net::awaitable<Answer> run(std::shared_ptr<RestClient> self, RestRequest request,
                                    net::TimePoint deadline);
  static net::awaitable<std::expected<net::StreamPtr, ApiError>> connect(
      std::shared_ptr<RestClient> self, net::TimePoint deadline);
  static net::awaitable<Attempt> ask(std::shared_ptr<RestClient> self, net::StreamPtr stream,
                                     std::shared_ptr<const std::string> bytes,
                                     net::TimePoint deadline);
  net::StreamPtr take_idle();
  std::string write(const RestRequest& request) const;
  ApiError lost(std::error_code code, std::string_view what) const;

  net::Loop& loop_;
  const net::Endpoint server_;
  const std::shared_ptr<const net::TlsContext> tls_;
  std::vector<net::StreamPtr> idle_;
  std::set<net::StreamPtr> busy_;
  bool closed_ = false;
};

/// As part of a query (RFC 3986 §2.3).
std::string url_escape(std::string_view text);

/// "https://host:port/path" as the server and the path; a URL of controller_url().
struct ApiAddress {
  net::Endpoint server;
  std::string path;
};
std::optional<ApiAddress> split_url(std::string_view url);

}  // namespace simplon::overlay::ziti
