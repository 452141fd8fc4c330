// Secrets that a person hands over: from a file, standard input or the environment, because an
// argument shows in ps.
#pragma once

#include <istream>
#include <string>

#include "ctl/outcome.hpp"

namespace simplon::ctl {

/// The first word: a person who pastes a secret ends it with Enter, not with Ctrl-D. May be empty.
/// `what` is named in a trouble.
Answer<std::string> read_word(std::istream& from, const std::string& what);

/// The first word of a file, or of standard input for "-", where `prompt` is shown to a person.
/// `option` is named in a trouble.
Answer<std::string> read_secret(const std::string& file, const std::string& option,
                                const std::string& prompt);

/// Of the environment; empty if it is not set.
std::string variable(const char* name);

/// A whole file of at most 256 KiB.
Answer<std::string> read_small_file(const std::string& file, const std::string& option);

}  // namespace simplon::ctl
