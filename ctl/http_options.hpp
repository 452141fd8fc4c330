// What share, access and frontend can be told about HTTP: a group of options of their own, and the
// messages that follow from what was typed.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ctl/outcome.hpp"
#include "simplon/v1/tunnel.pb.h"

namespace CLI {
class App;
}

namespace simplon::ctl {

/// Times and limits, of all three. Lives as long as the command that it was added to.
class HttpOptions {
 public:
  /// `share`: whose other end is a target and not an agent, which matters to what is said about
  /// defaults.
  void add_to(CLI::App& command, bool share);
  /// Into `to.http`, which stays absent where nothing was typed.
  template <class Kind>
  Outcome fill(Kind& to) const {
    v1::HttpSettings settings;
    auto filled = fill_settings(settings);
    if (filled && settings.ByteSizeLong() > 0) {
      *to.mutable_http() = settings;
    }
    return filled;
  }

 private:
  Outcome fill_settings(v1::HttpSettings& to) const;

  std::map<std::string, std::string> timeouts_;  // by field
  std::map<std::string, std::string> limits_;
  bool no_via_ = false;
};

/// What a share changes in heads.
class HeaderOptions {
 public:
  void add_to(CLI::App& command);
  Outcome fill(v1::Share& to) const;

 private:
  std::string host_header_;
  bool rewrite_references_ = false;
  std::vector<std::string> request_headers_;
  std::vector<std::string> response_headers_;
  std::string peer_header_;
};

/// --trust-proxy of an access or a frontend.
void add_trust_proxy(CLI::App& command, std::vector<std::string>& proxies, bool frontend);

/// The option, or the options, for a field that the agent's words begin with
/// ("share.http.timeouts.head: …"); empty where it is none of these.
std::string option_for(std::string_view agents_words);

}  // namespace simplon::ctl
