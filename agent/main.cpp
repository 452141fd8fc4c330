#include <csignal>
#include <cstdio>
#include <exception>

#include <sodium.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "agent/options.hpp"
#include "agent/process.hpp"

namespace {

// A listening tunnel takes descriptors on every loop and a connection two, so the usual soft limit
// of 1,024 would end at a few hundred tunnels.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    (void)::setrlimit(RLIMIT_NOFILE, &limit);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = simplon::agent::parse_options(argc, argv);
  if (!options) {
    std::fputs(options.error().text.c_str(), options.error().code == 0 ? stdout : stderr);
    return options.error().code;
  }
  // What this process makes is its user's alone, unless it says otherwise.
  ::umask(0077);
  std::signal(SIGPIPE, SIG_IGN);
  raise_descriptor_limit();
  if (sodium_init() < 0) {
    std::fputs("simplon-agent: no source of random numbers\n", stderr);
    return 1;
  }
  try {
    return simplon::agent::run(*options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "simplon-agent: internal error: %s\n", error.what());
    return 1;
  }
}
