#include "api/model_cache.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/core/visible.h"
#include "engine/core/whole_file.h"
#include "engine/packed/packed_file.h"
#include "kernels/encoding.h"

namespace midge {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".midge";
// Files of an earlier one are made anew: what was written into them was wrong.
constexpr int kRevision = 2;

// The files that a model consists of, by name: all of a folder, all parts of a split file.
std::vector<std::string> files_of(const std::string& source) {
  std::error_code error;
  if (!fs::is_directory(source, error)) {
    const size_t of = source.rfind("-of-");
    const size_t digits = of == std::string::npos || of < 6 ? std::string::npos : of - 6;
    if (digits == std::string::npos) return {source};
    std::vector<std::string> parts;
    const fs::path folder = fs::path(source).parent_path();
    const std::string head = source.substr(0, digits);
    const std::string tail = source.substr(of);
    for (const auto& entry : fs::directory_iterator(folder.empty() ? "." : folder, error)) {
      const std::string name =
          folder.empty() ? entry.path().filename().string() : entry.path().string();
      if (name.starts_with(head) && name.ends_with(tail)) parts.push_back(name);
    }
    std::sort(parts.begin(), parts.end());
    return parts.empty() ? std::vector<std::string>{source} : parts;
  }
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(source, error)) {
    if (entry.is_regular_file(error)) files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// What the packed file depends on, as text.
struct Identity {
  std::string text;
  uint64_t bytes = 0;  // of the source
};

void add_encoding(std::string& text, const char* what, std::optional<Encoding> encoding) {
  if (encoding.has_value()) {
    text += format_string("%s %s\n", what, encoding_info(*encoding).name);
  }
}

Identity identity_of(const std::string& source, const PackingOptions& options) {
  Identity identity;
  std::error_code error;
  identity.text = format_string("format %u.%d\n", kPackedVersion, kRevision);
  std::vector<std::string> files = files_of(source);
  if (!options.mtp_file.empty()) files.push_back(options.mtp_file);
  for (const std::string& file : files) {
    struct stat info = {};
    if (::stat(file.c_str(), &info) != 0) continue;
    const fs::path path = fs::canonical(file, error);
    identity.bytes += static_cast<uint64_t>(info.st_size);
    identity.text +=
        (error ? file : path.string()) +
        format_string("\n%lld %lld.%09lld %llu\n", static_cast<long long>(info.st_size),
                      static_cast<long long>(info.st_mtim.tv_sec),
                      static_cast<long long>(info.st_mtim.tv_nsec),
                      static_cast<unsigned long long>(info.st_ino));
  }
  if (options.recipe.has_value()) {
    identity.text += "recipe\n";
    add_encoding(identity.text, "layers", options.recipe->layers);
    add_encoding(identity.text, "head", options.recipe->head);
    add_encoding(identity.text, "embedding", options.recipe->embedding);
    for (const auto& [pattern, encoding] : options.recipe->overrides) {
      add_encoding(identity.text, pattern.c_str(), encoding);
    }
  }
  for (const auto& [pattern, encoding] : options.overrides) {
    add_encoding(identity.text, pattern.c_str(), encoding);
  }
  if (options.importance != nullptr) identity.text += options.importance->text();
  return identity;
}

// The user's, and nobody else may write to it.
bool is_private(const struct stat& info) {
  return info.st_uid == ::geteuid() && (info.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

Status check_folder(const std::string& folder) {
  struct stat info = {};
  if (::lstat(folder.c_str(), &info) != 0) {
    return make_status(StatusCode::kIoError, "%s: cannot make the folder: %s",
                       shown_path(folder).c_str(), std::strerror(errno));
  }
  if (S_ISDIR(info.st_mode) && is_private(info)) return Status();
  return make_status(StatusCode::kIoError,
                     "%s: expected a folder of this user to which no other may write, not a link",
                     shown_path(folder).c_str());
}

bool is_own_file(const std::string& path) {
  struct stat info = {};
  return ::lstat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && is_private(info);
}

// Whether the file at `path` serves. One without a tokenizer may be from a time when it could not
// be read, or from whoever did not need it.
bool is_usable(const std::string& path, bool needs_tokenizer) {
  if (!is_own_file(path)) return false;
  const Result<std::shared_ptr<const PackedFile>> file = PackedFile::open(path);
  return file.ok() && (!needs_tokenizer || (*file)->find("tokenizer") != nullptr);
}

// Removes what was used longest ago until the rest fits, but for `kept`.
void shrink(const ModelCacheOptions& cache, const std::string& kept) {
  struct File {
    std::string path;
    uint64_t bytes;
    int64_t used;
  };
  std::vector<File> files;
  uint64_t bytes = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(cache.folder, error)) {
    struct stat info = {};
    const std::string path = entry.path().string();
    if (!path.ends_with(kSuffix) || ::lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) {
      continue;
    }
    files.push_back({path, static_cast<uint64_t>(info.st_size), int64_t{info.st_mtim.tv_sec}});
    bytes += files.back().bytes;
  }
  std::sort(files.begin(), files.end(),
            [](const File& a, const File& b) { return a.used < b.used; });
  for (const File& file : files) {
    if (bytes <= cache.bytes_max) return;
    if (file.path == kept || ::unlink(file.path.c_str()) != 0) continue;
    bytes -= file.bytes;
    if (cache.on_remove) cache.on_remove(file.path);
  }
}

}  // namespace

Result<std::string> cached_model(const std::string& source, const PackingOptions& options,
                                 const ModelCacheOptions& cache) {
  if (cache.folder.empty() || is_packed_file(source)) return std::string();
  const Identity identity = identity_of(source, options);
  if (identity.bytes < cache.source_bytes_min) return std::string();
  make_private_folders(cache.folder);
  MIDGE_RETURN_IF_ERROR(check_folder(cache.folder));
  const ContentHash key =
      hash_bytes({reinterpret_cast<const uint8_t*>(identity.text.data()), identity.text.size()});
  const std::string path = join_path(cache.folder, to_hex(key) + std::string(kSuffix));
  if (is_usable(path, options.needs_tokenizer)) {
    // It is used now.
    static_cast<void>(::utimensat(AT_FDCWD, path.c_str(), nullptr, AT_SYMLINK_NOFOLLOW));
    return path;
  }
  if (cache.wants_pack) {
    MIDGE_ASSIGN_OR_RETURN(const bool wanted, cache.wants_pack());
    if (!wanted) return std::string();
  }
  if (cache.on_pack) cache.on_pack(path, identity.bytes);
  PackingOptions packing = options;
  packing.readers = TemporaryFile::Readers::kOwner;
  Status tokenizer;
  MIDGE_RETURN_IF_ERROR(pack_file(source, path, packing, &tokenizer).status());
  shrink(cache, path);
  return path;
}

}  // namespace midge
