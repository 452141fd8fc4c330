// Unix stream sockets.
//
// The kernel shows a reset of a unix socket to the other side only where bytes were left unread;
// otherwise the other side sees an end of stream.
#pragma once

#include <memory>
#include <string>

#include <sys/types.h>

#include "net/acceptor.hpp"
#include "net/async.hpp"

namespace simplon::net {

/// Errors: limit_exceeded (a path of more than 107 bytes), not_found, refused (nobody listens),
/// not_permitted, timed_out (the listener's queue stayed full).
awaitable<Result<StreamPtr>> connect_unix(Loop& loop, std::string path, TimePoint deadline);

/// Listens at `path` with exactly these permissions; a socket file that nobody listens at any more
/// is replaced. The file goes when the acceptor does. Errors: limit_exceeded (path too long),
/// address_in_use (somebody listens there, or the path is no socket), not_permitted, not_found
/// (no such folder). Two processes that may start at once need a lock of their own.
Result<std::unique_ptr<Acceptor>> listen_unix(Loop& loop, const std::string& path, mode_t mode);

}  // namespace simplon::net
