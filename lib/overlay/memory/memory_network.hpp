// An overlay inside one process: the directory is an object, streams are memory pairs. The `local`
// path of real overlays, and the network of tests above lib/overlay.
//
// Threads: one loop for everything.
#pragma once

#include <memory>
#include <string>

#include "overlay/network.hpp"

namespace simplon::overlay {

/// The directory that the networks of one test share.
class MemoryDirectory;
std::shared_ptr<MemoryDirectory> make_memory_directory();

/// A member of it. The first to listen on a name owns it, as on the embedded overlay.
std::unique_ptr<Network> make_memory_network(std::shared_ptr<MemoryDirectory> directory,
                                             std::string name, bool may_run_frontends = false);

}  // namespace simplon::overlay
