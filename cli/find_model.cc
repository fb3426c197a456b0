#include "cli/find_model.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>

#include "cli/option_checks.h"
#include "engine/core/mapped_file.h"
#include "engine/core/visible.h"

namespace midge {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDefaultModel = "tiny-phi";

bool is_folder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

bool file_exists(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

// Beside the program file: in the build tree (a link made at configure time) and where it is
// installed.
fs::path bundle_folder() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  for (const char* share : {"share/midge/models", "../share/midge/models"}) {
    const fs::path path = (program.parent_path() / share).lexically_normal();
    if (is_folder(path)) return path;
  }
  return {};
}

// "model-00001-of-00003.gguf".
bool is_later_part(const std::string& file) {
  const size_t of = file.rfind("-of-");
  if (of == std::string::npos || of < 6) return false;
  const std::string number = file.substr(of - 5, 5);
  const bool is_number = std::all_of(number.begin(), number.end(),
                                     [](unsigned char c) { return std::isdigit(c) != 0; });
  return is_number && number != "00001";
}

// The files of a kind, of several parts the first.
std::vector<fs::path> files_of(const fs::path& folder, const char* extension) {
  std::vector<fs::path> files;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    const std::string file = entry.path().filename().string();
    // A projector of images is no model of its own.
    if (entry.path().extension() != extension || is_later_part(file) ||
        file.starts_with("mmproj")) {
      continue;
    }
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

Result<std::string> model_in_folder(const fs::path& folder) {
  const std::vector<fs::path> files = files_of(folder, ".gguf");
  // Repositories of GGUF files often have the config of the original beside them.
  if (file_exists(folder / "config.json") &&
      (files.empty() || !files_of(folder, ".safetensors").empty())) {
    return folder.string();
  }
  if (files.size() == 1) return files.front().string();
  if (files.empty()) {
    return make_status(StatusCode::kNotFound, "%s: a folder without config.json and .gguf file",
                       shown_path(folder.string()).c_str());
  }
  return make_status(StatusCode::kInvalidArgument,
                     "%s: a folder of %zu GGUF files, name one of them, as %s",
                     shown_path(folder.string()).c_str(), files.size(),
                     printable(files.front().filename().string(), 60).c_str());
}

// An absolute path from the environment, or nothing.
std::optional<fs::path> folder_of(const char* variable) {
  const char* value = std::getenv(variable);
  if (value == nullptr || value[0] != '/') return std::nullopt;
  return fs::path(value);
}

// Where the tools of Hugging Face keep what they fetch (huggingface_hub, "Environment variables").
fs::path hub_folder() {
  if (const auto hub = folder_of("HF_HUB_CACHE")) return *hub;
  if (const auto home = folder_of("HF_HOME")) return *home / "hub";
  if (const auto cache = folder_of("XDG_CACHE_HOME")) return *cache / "huggingface/hub";
  if (const auto home = folder_of("HOME")) return *home / ".cache/huggingface/hub";
  return {};
}

bool is_repository_word(const std::string& word) {
  return !word.empty() && word != "." && word != ".." &&
         std::all_of(word.begin(), word.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
         });
}

/// "org/name", and the file behind it.
struct Repository {
  std::string org;
  std::string name;
  std::string file;

  std::string id() const { return org + "/" + name; }
};

std::optional<Repository> repository_of(const std::string& text) {
  const size_t first = text.find('/');
  if (first == std::string::npos) return std::nullopt;
  const size_t second = std::min(text.find('/', first + 1), text.size());
  Repository repository = {text.substr(0, first), text.substr(first + 1, second - first - 1), {}};
  if (second < text.size()) repository.file = text.substr(second + 1);
  // "no/such/folder" is a path.
  if (second < text.size() && repository.file.find('.') == std::string::npos) return std::nullopt;
  if (!is_repository_word(repository.org) || !is_repository_word(repository.name)) {
    return std::nullopt;
  }
  return repository;
}

// The snapshot that the branch main stands for, or else the newest.
fs::path snapshot_of(const Repository& repository) {
  const fs::path hub = hub_folder();
  if (hub.empty()) return {};
  const fs::path folder = hub / ("models--" + repository.org + "--" + repository.name);
  std::string commit;
  std::ifstream(folder / "refs/main") >> commit;
  if (is_repository_word(commit) && is_folder(folder / "snapshots" / commit)) {
    return folder / "snapshots" / commit;
  }
  fs::path newest;
  fs::file_time_type newest_time = fs::file_time_type::min();
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder / "snapshots", error)) {
    const fs::file_time_type time = entry.last_write_time(error);
    if (error || (!newest.empty() && time <= newest_time)) continue;
    newest = entry.path();
    newest_time = time;
  }
  return newest;
}

Status not_found(const std::string& name, const std::optional<Repository>& repository) {
  if (repository.has_value() && repository->file.find('/') == std::string::npos) {
    const std::string file = repository->file.empty() ? "" : " " + repository->file;
    return make_status(StatusCode::kNotFound,
                       "%s: no such file, and not in the Hugging Face cache; to fetch it: hf "
                       "download %s%s",
                       shown_path(name).c_str(), printable(repository->id()).c_str(),
                       printable(file).c_str());
  }
  const std::string meant = closest(name, bundled_models());
  if (!meant.empty()) {
    return make_status(StatusCode::kNotFound, "%s: no such file or model; did you mean %s?",
                       shown_path(name).c_str(), meant.c_str());
  }
  if (name.find(' ') != std::string::npos) {
    return make_status(StatusCode::kNotFound,
                       "'%s': no such file; a prompt follows the model, or -p",
                       printable(name, 60).c_str());
  }
  const std::vector<std::string> bundled = bundled_models();
  return make_status(
      StatusCode::kNotFound, "%s: no such file or folder, and no bundled model%s",
      shown_path(name).c_str(),
      bundled.empty() ? "; none are beside the program" : (" (" + list_of(bundled) + ")").c_str());
}

}  // namespace

std::vector<std::string> bundled_models() {
  std::vector<std::string> names;
  std::error_code error;
  const fs::path folder = bundle_folder();
  if (folder.empty()) return names;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (is_folder(entry.path())) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::string> find_model(const std::string& name) {
  if (!name.empty() && is_folder(name)) return model_in_folder(name);
  if (!name.empty() && file_exists(name)) return name;
  const std::vector<std::string> bundled = bundled_models();
  const std::string wanted = name.empty() ? kDefaultModel : name;
  if (std::find(bundled.begin(), bundled.end(), wanted) != bundled.end()) {
    return (bundle_folder() / wanted).string();
  }
  if (name.empty()) {
    return make_status(StatusCode::kNotFound,
                       "the bundled model '%s' is not beside the program: name a model",
                       kDefaultModel);
  }
  const std::optional<Repository> repository = repository_of(name);
  if (repository.has_value()) {
    const fs::path snapshot = snapshot_of(*repository);
    if (!snapshot.empty() && repository->file.empty()) return model_in_folder(snapshot);
    if (!snapshot.empty() && file_exists(snapshot / repository->file)) {
      return (snapshot / repository->file).string();
    }
  }
  return not_found(name, repository);
}

}  // namespace midge
