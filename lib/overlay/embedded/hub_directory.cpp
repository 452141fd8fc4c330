#include "overlay/embedded/hub_directory.hpp"

namespace simplon::overlay {

bool HubDirectory::join(Instance& instance) {
  if (!instances_.try_emplace(instance.id, &instance).second) {
    return false;
  }
  ++members_[instance.spki];
  return true;
}

void HubDirectory::leave(Instance& instance) {
  const auto at = instances_.find(instance.id);
  if (at == instances_.end() || at->second != &instance) {
    return;
  }
  instances_.erase(at);
  while (!instance.services.empty()) {
    const std::string service = *instance.services.begin();
    withdraw(instance, service);
  }
  const auto member = members_.find(instance.spki);
  if (member != members_.end() && --member->second == 0) {
    members_.erase(member);
  }
}

bool HubDirectory::host(Instance& instance, std::string_view service) {
  if (instance.services.contains(service)) {
    return true;
  }
  if (instance.services.size() >= kMaxServicesOfInstance) {
    return false;
  }
  instance.services.emplace(service);
  hosts_[std::string(service)].insert(&instance);
  return true;
}

void HubDirectory::withdraw(Instance& instance, std::string_view service) {
  if (const auto at = hosts_.find(service); at != hosts_.end()) {
    at->second.erase(&instance);
    if (at->second.empty()) {
      hosts_.erase(at);
    }
  }
  if (const auto at = instance.services.find(service); at != instance.services.end()) {
    instance.services.erase(at);
  }
}

HubDirectory::Instance* HubDirectory::find(std::string_view id) const {
  const auto at = instances_.find(id);
  return at == instances_.end() ? nullptr : at->second;
}

std::vector<const HubDirectory::Instance*> HubDirectory::hosts(std::string_view service) const {
  const auto at = hosts_.find(service);
  if (at == hosts_.end()) {
    return {};
  }
  return {at->second.begin(), at->second.end()};
}

std::size_t HubDirectory::instances_of(std::string_view spki) const {
  const auto at = members_.find(spki);
  return at == members_.end() ? 0 : at->second;
}

}  // namespace simplon::overlay
