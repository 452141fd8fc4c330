// The agent and its overlays as people read them.
#include <algorithm>
#include <vector>

#include "ctl/check_output.hpp"
#include "ctl/output.hpp"
#include "ctl/table.hpp"

namespace simplon::ctl {
namespace {

using Clock = std::chrono::system_clock;

std::string state_of(const v1::Overlay& overlay) {
  return lowered(v1::LinkState_Name(overlay.state()), "LINK_STATE_");
}

std::string place_of(const v1::Overlay& overlay) {
  return overlay.hub() ? "this agent" : joined(overlay.addresses());
}

// "legacy, for 5m, ends in 25m"
std::string session_of(const v1::ZitiLink& link, Clock::time_point now) {
  if (link.session().empty()) {
    return "none: not logged in";
  }
  std::string out = link.session() + ", for " + age(link.session_since(), now);
  if (const auto end = link.session_expire_time().seconds(); end > 0) {
    google::protobuf::Timestamp at;
    at.set_seconds(
        std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count());
    out += ", ends in " + age(at, Clock::time_point(std::chrono::seconds(end))) +
           " unless it is renewed";
  }
  return out;
}

std::string latency_of(const v1::ZitiLink::EdgeRouter& router) {
  const auto time = router.latency_microseconds();
  return time == 0 ? std::string() : latency_text(time);
}

// "legacy 5m".
std::string short_session(const v1::ZitiLink& link, Clock::time_point now) {
  return link.session().empty() ? std::string()
                                : link.session() + " " + age(link.session_since(), now);
}

// "2 of 3 up, 312 us": the latency of the fastest.
std::string short_routers(const v1::ZitiLink& link) {
  if (link.routers().empty()) {
    return {};
  }
  const auto up = std::ranges::count(link.routers(), true, &v1::ZitiLink::EdgeRouter::up);
  std::string out = std::to_string(up) + " of " + std::to_string(link.routers_size()) + " up";
  const v1::ZitiLink::EdgeRouter* fastest = nullptr;
  for (const auto& router : link.routers()) {
    if (router.up() && router.latency_microseconds() > 0 &&
        (fastest == nullptr || router.latency_microseconds() < fastest->latency_microseconds())) {
      fastest = &router;
    }
  }
  return fastest == nullptr ? out : out + ", " + latency_of(*fastest);
}

// Of several controllers the one that is used, once there is one.
std::string in_use(const v1::Overlay& overlay) {
  std::string controller = overlay.ziti().controller();
  if (overlay.kind() != "ziti" || controller.empty()) {
    return place_of(overlay);
  }
  // Without the path of its API, as everywhere for people.
  const auto path = controller.find('/', controller.find("://") + 3);
  return controller.substr(0, path);
}

std::string router_table(const v1::ZitiLink& link) {
  std::vector<Row> rows{
      {"ROUTER", "ADDRESS", "STATE", "LATENCY", "CHANNELS", "CIRCUITS", "LAST ERROR"}};
  for (const auto& router : link.routers()) {
    rows.push_back({router.name(), router.address(), router.up() ? "up" : "down",
                    latency_of(router), std::to_string(router.channels()),
                    std::to_string(router.circuits()), router.last_error()});
  }
  return table(rows);
}

// What to do, where something is not as it should be.
std::string advice_of(const v1::Overlay& overlay) {
  if (overlay.state() != v1::LINK_STATE_UP) {
    if (overlay.kind() == "embedded") {
      return "is the hub running, and reachable from here at " + place_of(overlay) + "?";
    }
    return "is the controller running, and reachable from here at " + place_of(overlay) +
           "? Its administrator sees whether it still knows this identity";
  }
  if (!overlay.has_ziti()) {
    return {};
  }
  const auto& routers = overlay.ziti().routers();
  if (routers.empty()) {
    return "no router was needed yet: a share needs one at once, an access with its first "
           "connection";
  }
  const auto down = std::ranges::find(routers, false, &v1::ZitiLink::EdgeRouter::up);
  if (down != routers.end()) {
    return "router " + down->name() + " must be reachable from here at " + down->address() +
           "; while others are up, traffic goes through them";
  }
  return {};
}

}  // namespace

std::string overlay_table(const google::protobuf::RepeatedPtrField<v1::Overlay>& overlays,
                          Clock::time_point now) {
  // What networks of OpenZiti have besides, where there is one.
  const bool ziti = std::ranges::any_of(overlays, &v1::Overlay::has_ziti);
  Row heading{"OVERLAY", "KIND", "IDENTITY", "LINK", "FOR", "AT"};
  if (ziti) {
    heading.insert(heading.end(), {"SESSION", "ROUTERS", "TERMINATORS", "CIRCUITS"});
  }
  heading.emplace_back("LAST ERROR");
  std::vector<Row> rows{heading};
  for (const auto& overlay : overlays) {
    Row row{overlay.name(),
            overlay.kind(),
            overlay.identity(),
            state_of(overlay),
            age(overlay.since(), now),
            in_use(overlay)};
    if (ziti && overlay.has_ziti()) {
      const auto& link = overlay.ziti();
      row.insert(row.end(), {short_session(link, now), short_routers(link),
                             std::to_string(link.terminators()), std::to_string(link.circuits())});
    } else if (ziti) {
      row.resize(row.size() + 4);
    }
    row.push_back(overlay.last_error());
    rows.push_back(std::move(row));
  }
  return table(rows);
}

std::string overlay_details(const v1::Overlay& overlay, Clock::time_point now) {
  std::vector<std::pair<std::string, std::string>> values{
      {"overlay", overlay.name()},
      {"kind", overlay.kind()},
      {"identity", overlay.identity()},
      {"link", state_of(overlay) + ", for " + age(overlay.since(), now)},
      {"last error", overlay.last_error()},
      {overlay.kind() == "embedded" ? "hub"
       : overlay.kind() == "zrok"   ? "instance"
                                    : "controllers",
       place_of(overlay)},
  };
  std::string routers;
  if (overlay.has_ziti()) {
    const auto& link = overlay.ziti();
    values.insert(values.end(), {{"controller", link.controller()},
                                 {"version", link.controller_version()},
                                 {"api session", session_of(link, now)},
                                 {"terminators", std::to_string(link.terminators())},
                                 {"circuits", std::to_string(link.circuits())}});
    if (!link.routers().empty()) {
      routers = "\n" + router_table(link);
    }
  }
  values.emplace_back("advice", advice_of(overlay));
  return fields(values) + routers;
}

std::string agent_details(const v1::AgentInfo& agent, Clock::time_point now) {
  std::string hub;
  if (agent.has_hub()) {
    hub = agent.hub().listen() + (agent.hub().loopback_only() ? " (this host only)" : "") + ", " +
          std::to_string(agent.hub().members_online()) +
          (agent.hub().members_online() == 1 ? " member online" : " members online");
  }
  std::string out = fields({
      {"agent", agent.name()},
      {"version", agent.version()},
      {"pid", std::to_string(agent.pid())},
      {"up for", age(agent.start_time(), now)},
      {"state dir", agent.state_dir()},
      {"log level", agent.log_level()},
      {"tunnels", std::to_string(agent.tunnels())},
      {"hub", hub},
      {"advertises", joined(agent.hub().advertise())},
      {"draining", agent.draining() ? "yes" : ""},
  });
  if (!agent.overlays().empty()) {
    out += "\n" + overlay_table(agent.overlays(), now);
  }
  return out;
}

}  // namespace simplon::ctl
