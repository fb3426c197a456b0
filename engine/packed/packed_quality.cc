#include "engine/packed/packed_quality.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <sys/stat.h>

#include "engine/core/visible.h"
#include "engine/packed/bytes.h"
#include "engine/packed/packed_writer.h"

namespace midge {
namespace {

constexpr std::string_view kSection = "quality";

std::string write_qualities(const std::vector<PackedQuality>& qualities) {
  ByteWriter out;
  out.number(static_cast<uint32_t>(qualities.size()));
  for (const PackedQuality& quality : qualities) {
    out.text(quality.text);
    out.text(quality.reference);
    out.number(quality.scored);
    out.number(quality.window);
    out.flag(quality.generated);
    for (const double value : {quality.perplexity, quality.reference_perplexity, quality.kl_mean,
                               quality.kl_p99, quality.top1_agreement}) {
      out.number(value);
    }
  }
  return out.bytes();
}

PackedQuality read_quality(ByteReader& in) {
  PackedQuality quality;
  quality.text = in.text();
  quality.reference = in.text();
  quality.scored = in.number<int64_t>();
  quality.window = in.number<int64_t>();
  quality.generated = in.flag();
  for (double* value : {&quality.perplexity, &quality.reference_perplexity, &quality.kl_mean,
                        &quality.kl_p99, &quality.top1_agreement}) {
    *value = in.number<double>();
  }
  return quality;
}

bool is_sound(const PackedQuality& quality) {
  return quality.text.size() <= kQualityNameMax && quality.reference.size() <= kQualityNameMax &&
         quality.scored >= 0 && quality.window >= 0 && std::isfinite(quality.perplexity) &&
         std::isfinite(quality.reference_perplexity) && std::isfinite(quality.kl_mean) &&
         std::isfinite(quality.kl_p99) && quality.top1_agreement >= 0 &&
         quality.top1_agreement <= 1;
}

bool is_of_the_same(const PackedQuality& a, const PackedQuality& b) {
  return a.text == b.text && a.reference == b.reference && a.window == b.window &&
         a.generated == b.generated;
}

}  // namespace

Result<std::vector<PackedQuality>> read_packed_quality(const PackedFile& file) {
  std::vector<PackedQuality> qualities;
  const std::span<const uint8_t> bytes = file.bytes(kSection);
  if (bytes.empty()) return qualities;
  ByteReader in(bytes);
  const auto count = in.number<uint32_t>();
  bool sound = count <= kQualitiesMax;
  for (uint32_t i = 0; i < count && sound && in.ok(); ++i) {
    qualities.push_back(read_quality(in));
    sound = is_sound(qualities.back());
  }
  if (!sound || !in.at_end()) {
    return make_status(StatusCode::kInvalidFile, "%s: section 'quality' is damaged at byte %zu",
                       shown_path(file.path()).c_str(), in.position());
  }
  return qualities;
}

Status keep_packed_quality(const std::string& path, const PackedQuality& quality,
                           const std::function<void(int64_t, int64_t)>& on_progress) {
  if (!is_sound(quality)) {
    return make_status(StatusCode::kInvalidArgument,
                       "a measurement of '%s' against '%s', expected numbers and names of at most "
                       "%zu bytes",
                       printable(quality.text).c_str(), printable(quality.reference).c_str(),
                       kQualityNameMax);
  }
  MIDGE_ASSIGN_OR_RETURN(const std::shared_ptr<const PackedFile> file, PackedFile::open(path));
  MIDGE_ASSIGN_OR_RETURN(std::vector<PackedQuality> qualities, read_packed_quality(*file));
  std::erase_if(qualities,
                [&](const PackedQuality& other) { return is_of_the_same(other, quality); });
  if (qualities.size() == kQualitiesMax) qualities.erase(qualities.begin());
  qualities.push_back(quality);
  const std::string added = write_qualities(qualities);

  std::vector<PlannedSection> planned;
  std::vector<const PackedSection*> copied;
  for (const PackedSection& section : file->sections()) {
    if (section.name_view() == kSection) continue;
    planned.push_back({section.name_view(), section.flags, section.bytes, section.version});
    copied.push_back(&section);
  }
  if (planned.size() == kPackedSectionsMax) {
    return make_status(StatusCode::kUnsupported, "%s: has %u sections, no room for another",
                       shown_path(path).c_str(), kPackedSectionsMax);
  }
  planned.push_back({kSection, 0, added.size()});
  MIDGE_ASSIGN_OR_RETURN(PackedWriter writer,
                         PackedWriter::create(path, planned, TemporaryFile::Readers::kByUmask));
  constexpr uint64_t kAtOnce = uint64_t{8} << 20;
  for (size_t i = 0; i < copied.size(); ++i) {
    const std::span<const uint8_t> from = file->bytes(*copied[i]);
    for (uint64_t done = 0; done < from.size(); done += kAtOnce) {
      const uint64_t bytes = std::min<uint64_t>(kAtOnce, from.size() - done);
      const uint64_t at = writer.offset(i) + done;
      std::memcpy(writer.data() + at, from.data() + done, bytes);
      writer.written(at, bytes);
      file->release_pages(from.data() + done, static_cast<int64_t>(bytes));
      if (on_progress) {
        on_progress(static_cast<int64_t>(at + bytes), static_cast<int64_t>(writer.file_bytes()));
      }
    }
    writer.set_hash(i, copied[i]->hash);
  }
  std::memcpy(writer.bytes(copied.size()).data(), added.data(), added.size());
  return writer.publish().status();
}

}  // namespace midge
