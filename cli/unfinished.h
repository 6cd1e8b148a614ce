// Folders that are there whole or not at all: made under another name, synced, and renamed last. Over
// io::Files, so that a test can cut the power at any call. Blocking.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "io/files.h"

namespace raftd::cli {

/// The name that `folder` has until all is there; a crash leaves it behind.
std::string unfinished_name(const std::string& folder);
/// Makes that, which exactly one of several calls at once can: it alone may remove what lies there.
/// `command`: whose it is, for words; `hint`: how to choose another folder. Errors: conflict (`folder` has
/// something in it, or the other is there: a call that still runs, or was interrupted), io.
Result<void> begin_unfinished(io::Files& files, const std::string& folder, const std::string& command,
                              const std::string& hint);
/// Gives it its name, once every folder in it that is named here has been synced. Errors: conflict (`folder`
/// has something in it by now), io.
Result<void> finish_unfinished(io::Files& files, const std::string& folder,
                               const std::vector<std::string>& synced, const std::string& hint);

/// Errors: io.
Result<void> make_dir(io::Files& files, const std::string& path);
Result<void> write_text(io::Files& files, const std::string& folder, const char* name,
                        const std::string& text);
/// Of a path without a slash at its end.
std::string folder_above(const std::string& path);

}  // namespace raftd::cli
