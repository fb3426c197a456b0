#include "api/foreign_model.h"
#include "engine/core/visible.h"

namespace midge {
namespace {

// A path that is not there is told as such, whatever it might have been.
Status refuse(const std::string& path) {
  if (!is_directory(path) && !is_regular_file(path)) return MappedFile::open(path).status();
  return make_status(StatusCode::kUnsupported,
                     "%s: not a packed file; this build of midge opens no others (midge pack makes "
                     "one, on any machine)",
                     shown_path(path).c_str());
}

}  // namespace

Result<std::unique_ptr<Model>> open_foreign_model(const std::string& path, const LoadOptions&,
                                                  const UseTokenizer&) {
  return refuse(path);
}

Result<Tokenizer> load_foreign_tokenizer(const std::string& path, FileAccess, const CopyProgress&) {
  return refuse(path);
}

}  // namespace midge
