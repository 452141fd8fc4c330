// Identity files as text on the disk: private to their owner (0600), and never half written.
//
// Errors name the file: NOT_FOUND, PERMISSION_DENIED, ALREADY_EXISTS, RESOURCE_EXHAUSTED (no room),
// INVALID_ARGUMENT (not a regular file), UNAVAILABLE. Plain functions; any thread.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

namespace simplon::overlay {

/// Not more than its first `most` bytes.
absl::StatusOr<std::string> read_identity_text(const std::filesystem::path& file, std::size_t most);

/// Written beside and renamed, mode 0600, fsynced. ALREADY_EXISTS unless `replace`.
absl::Status write_identity_text(std::string_view text, const std::filesystem::path& file,
                                 bool replace);

/// The same error, with the file's name before it.
absl::Status about_identity(const std::filesystem::path& file, const absl::Status& status);

}  // namespace simplon::overlay
