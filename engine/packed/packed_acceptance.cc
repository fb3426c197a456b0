#include "engine/packed/packed_acceptance.h"

#include "engine/core/visible.h"
#include "engine/packed/bytes.h"

namespace midge {
namespace {

// Products of two stay in 64 bits.
constexpr int64_t kReadMax = int64_t{1} << 30;

bool is_sound(const MtpAcceptance::Count& count) {
  return count.read >= 0 && count.read <= kReadMax && count.right >= 0 && count.right <= count.read;
}

}  // namespace

std::string write_acceptance(const MtpAcceptance& acceptance) {
  ByteWriter out;
  for (const MtpAcceptance::Count& count : {acceptance.before_norm, acceptance.behind_norm}) {
    out.number(count.read);
    out.number(count.right);
  }
  return out.bytes();
}

Result<MtpAcceptance> read_acceptance(const PackedFile& file) {
  MtpAcceptance acceptance;
  const std::span<const uint8_t> bytes = file.bytes(kAcceptanceSection);
  if (bytes.empty()) return acceptance;
  ByteReader in(bytes);
  for (MtpAcceptance::Count* count : {&acceptance.before_norm, &acceptance.behind_norm}) {
    count->read = in.number<int64_t>();
    count->right = in.number<int64_t>();
    if (!in.ok() || !is_sound(*count)) break;
  }
  if (!in.at_end() || !is_sound(acceptance.before_norm) || !is_sound(acceptance.behind_norm)) {
    return make_status(StatusCode::kInvalidFile,
                       "%s: section 'mtp-acceptance' is damaged at byte %zu: expected drafts, and "
                       "how many of them were right, twice",
                       shown_path(file.path()).c_str(), in.position());
  }
  return acceptance;
}

}  // namespace midge
