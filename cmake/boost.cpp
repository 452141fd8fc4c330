// The one translation unit that compiles Asio's and Beast's non-template parts.
#include <stdexcept>
#include <string>

#include <boost/asio/impl/src.hpp>
#include <boost/beast/src.hpp>

// Beast asserts on some inputs that a peer controls. No byte from a peer may end the process,
// so a failed Boost assertion throws and the connection that caused it is closed.
namespace boost {
void assertion_failed(char const* expr, char const* function, char const* file, long line) {
  throw std::logic_error(std::string("boost assertion failed: ") + expr + " in " + function + " (" +
                         file + ":" + std::to_string(line) + ")");
}
void assertion_failed_msg(char const* expr, char const* msg, char const* function, char const* file,
                          long line) {
  throw std::logic_error(std::string("boost assertion failed: ") + expr + " (" + msg + ") in " +
                         function + " (" + file + ":" + std::to_string(line) + ")");
}
}  // namespace boost
