// What a spec says about HTTP, between the API's messages and the plain values of lib/tunnel. Pure
// functions, any thread. INVALID_ARGUMENT starts with the field.
#pragma once

#include <string>
#include <vector>

#include <absl/status/status.h>
#include <google/protobuf/repeated_ptr_field.h>

#include "simplon/v1/http.pb.h"
#include "tunnel/spec.hpp"

namespace simplon::agent {

using HeaderRules = google::protobuf::RepeatedPtrField<v1::HeaderRule>;

/// `field`: what the message is called where it stands, such as "share.http". Bounds are
/// tunnel::normalize's to check.
absl::Status read_http(const v1::HttpSettings& from, const std::string& field,
                       tunnel::HttpSettings& to);
absl::Status read_rules(const HeaderRules& from, const std::string& field,
                        std::vector<http::HeaderRule>& to);

/// Whether anything was chosen; what was not stays absent.
bool write_http(const tunnel::HttpSettings& from, v1::HttpSettings& to);
void write_rules(const std::vector<http::HeaderRule>& from, HeaderRules& to);

}  // namespace simplon::agent
