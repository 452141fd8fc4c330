// Messages of the API as people and programs read them.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include <google/protobuf/message.h>

#include "ctl/outcome.hpp"
#include "simplon/v1/agent.pb.h"
#include "simplon/v1/hub.pb.h"
#include "simplon/v1/tunnel.pb.h"

namespace simplon::ctl {

/// Protobuf's JSON mapping, every field present, so that a script needs no defaults. Ends with a
/// newline.
std::string to_json(const google::protobuf::Message& message);

/// "share", "access", "frontend".
std::string kind_of(const v1::Tunnel& tunnel);
/// "active", "starting", ...
std::string phase_of(const v1::Tunnel& tunnel);
/// The service that an access reaches, or by which accesses reach a share.
std::string service_of(const v1::Tunnel& tunnel);
/// What a person uses to reach it: a URL, or a share's service where it has none.
std::string address_of(const v1::Tunnel& tunnel);
/// "12s", "5m", "3h", "2d" between two times; "0s" if the clock went back.
std::string age(const google::protobuf::Timestamp& since,
                std::chrono::system_clock::time_point now);

std::string tunnel_table(const v1::ListTunnelsResponse& list,
                         std::chrono::system_clock::time_point now);
std::string tunnel_details(const v1::Tunnel& tunnel, std::chrono::system_clock::time_point now);
std::string agent_details(const v1::AgentInfo& agent, std::chrono::system_clock::time_point now);
std::string overlay_table(const google::protobuf::RepeatedPtrField<v1::Overlay>& overlays,
                          std::chrono::system_clock::time_point now);
/// The overlay, its routers, and what to do about what does not work.
std::string overlay_details(const v1::Overlay& overlay, std::chrono::system_clock::time_point now);

/// The name of an enum's value without its prefix: "PHASE_ACTIVE" → "active".
std::string lowered(std::string name, std::string_view prefix);
/// "a, b, c".
std::string joined(const google::protobuf::RepeatedPtrField<std::string>& values);

/// Why a tunnel is not active, hop by hop: "target: down: connection refused; ...".
std::string why_not_ready(const v1::Tunnel& tunnel);
/// The first hop that is not up; empty: all are.
std::string hop_not_ready(const v1::Tunnel& tunnel);

/// What went wrong, as an object "error" of one line, for -o json.
std::string to_json(const Trouble& trouble);

}  // namespace simplon::ctl
