#include "engine/packed/packed_file.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>

#include "engine/core/pages.h"
#include "engine/core/visible.h"
#include "engine/packed/hashing.h"

namespace midge {
namespace {

// Sections that this version reads, each in version 1.
constexpr std::string_view kKnownSections[] = {"config", "tensors",   "vectors", "weights",
                                               "mtp",    "tokenizer", "quality", "mtp-acceptance"};
constexpr uint32_t kKnownSectionVersion = 1;
constexpr uint64_t kKnownFeatures = 0;
constexpr uint32_t kKnownFlags = kPackedRequired | kPackedIdentity | kPackedBulk;

// Bytes that are hashed between two reports.
constexpr size_t kHashedAtOnce = size_t{8} << 20;

Status invalid(const std::string& path, const std::string& what) {
  return Status(StatusCode::kInvalidFile, shown_path(path) + ": " + what);
}

std::span<const uint8_t> bytes_of(const void* data, size_t bytes) {
  return {static_cast<const uint8_t*>(data), bytes};
}

bool is_known(const PackedSection& section) {
  return section.version == kKnownSectionVersion &&
         std::find(std::begin(kKnownSections), std::end(kKnownSections), section.name_view()) !=
             std::end(kKnownSections);
}

bool is_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
  });
}

}  // namespace

std::string to_hex(const ContentHash& hash) {
  return format_string("%016llx%016llx", static_cast<unsigned long long>(hash[1]),
                       static_cast<unsigned long long>(hash[0]));
}

std::string_view PackedSection::name_view() const {
  return {name, static_cast<size_t>(std::find(name, name + sizeof(name), '\0') - name)};
}

ContentHash hash_bytes(std::span<const uint8_t> bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {hash.low64, hash.high64};
}

uint64_t short_hash(std::span<const uint8_t> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

ContentHash packed_content_id(std::span<const PackedSection> sections) {
  ContentHasher hasher;
  for (const PackedSection& section : sections) {
    if ((section.flags & kPackedIdentity) == 0) continue;
    hasher.add(bytes_of(section.name, sizeof(section.name)));
    hasher.add(bytes_of(&section.version, sizeof(section.version)));
    hasher.add(bytes_of(&section.bytes, sizeof(section.bytes)));
    hasher.add(bytes_of(section.hash.data(), sizeof(section.hash)));
  }
  return hasher.hash();
}

uint64_t packed_header_checksum(PackedHeader header, std::span<const PackedSection> sections) {
  header.checksum = 0;
  ContentHasher hasher;
  hasher.add(bytes_of(&header, sizeof(header)));
  hasher.add(bytes_of(sections.data(), sections.size_bytes()));
  return hasher.hash()[0];
}

Result<std::shared_ptr<const PackedFile>> PackedFile::open(const std::string& path,
                                                           FileAccess access,
                                                           const CopyProgress& on_copy) {
  MIDGE_ASSIGN_OR_RETURN(MappedFile bytes, MappedFile::open(path, access, on_copy));
  return open(std::move(bytes));
}

Result<std::shared_ptr<const PackedFile>> PackedFile::open(MappedFile bytes) {
  const auto place = reinterpret_cast<uintptr_t>(bytes.data()) % kPackedMemoryAlignment;
  if (place != 0) {
    return make_status(StatusCode::kInvalidArgument,
                       "%s: its bytes begin %llu behind a multiple of %llu, expected at one",
                       shown_path(bytes.path()).c_str(), static_cast<unsigned long long>(place),
                       static_cast<unsigned long long>(kPackedMemoryAlignment));
  }
  auto file = std::make_shared<PackedFile>();
  file->file_ = std::move(bytes);
  MIDGE_RETURN_IF_ERROR(file->read_header());
  MIDGE_RETURN_IF_ERROR(file->check_sections());
  for (const PackedSection& section : file->sections_) {
    if ((section.flags & kPackedBulk) != 0) continue;
    MIDGE_RETURN_IF_ERROR(file->check_section(section, nullptr));
  }
  return std::shared_ptr<const PackedFile>(std::move(file));
}

Status PackedFile::read_header() {
  const std::string& path = file_.path();
  const uint64_t size = file_.size();
  if (size < sizeof(header_) || std::memcmp(file_.data(), kPackedMagic.data(), 8) != 0) {
    return invalid(path, "not a packed model, expected the bytes 89 'MIDGE' 0d 0a at its start");
  }
  std::memcpy(&header_, file_.data(), sizeof(header_));
  if (header_.version != kPackedVersion) {
    return make_status(StatusCode::kUnsupported,
                       "%s: format version %u, expected %u: pack the model anew",
                       shown_path(path).c_str(), header_.version, kPackedVersion);
  }
  if (header_.file_bytes != size) {
    return invalid(path, format_string("%llu bytes, expected %llu by its header",
                                       static_cast<unsigned long long>(size),
                                       static_cast<unsigned long long>(header_.file_bytes)));
  }
  if (header_.section_count > kPackedSectionsMax ||
      size - sizeof(header_) < header_.section_count * sizeof(PackedSection)) {
    return invalid(path, format_string("%u sections, expected at most %u that fit in the file",
                                       header_.section_count, kPackedSectionsMax));
  }
  sections_.resize(header_.section_count);
  if (!sections_.empty()) {
    std::memcpy(sections_.data(), file_.data() + sizeof(header_),
                sections_.size() * sizeof(PackedSection));
  }
  if (packed_header_checksum(header_, sections_) != header_.checksum) {
    return invalid(path, "header or directory is damaged: its checksum differs");
  }
  const uint64_t unknown = header_.required_features & ~kKnownFeatures;
  if (unknown != 0) {
    return make_status(StatusCode::kUnsupported,
                       "%s: needs feature bit %d, which this version does not know",
                       shown_path(path).c_str(), std::countr_zero(unknown));
  }
  if (packed_content_id(sections_) != header_.content_id) {
    return invalid(path, "the content id is not that of its sections");
  }
  return Status();
}

Status PackedFile::check_sections() const {
  const std::string& path = file_.path();
  uint64_t end = sizeof(header_) + sections_.size() * sizeof(PackedSection);
  for (size_t i = 0; i < sections_.size(); ++i) {
    const PackedSection& section = sections_[i];
    const std::string name = printable(section.name_view());
    const bool is_repeated =
        std::any_of(sections_.begin(), sections_.begin() + i,
                    [&](auto& other) { return other.name_view() == section.name_view(); });
    if (!is_name(section.name_view()) || is_repeated) {
      return invalid(path, format_string("section %zu is named '%s', expected a name of its own", i,
                                         name.c_str()));
    }
    if ((section.flags & ~kKnownFlags) != 0 ||
        ((section.flags & kPackedRequired) != 0 && !is_known(section))) {
      return make_status(StatusCode::kUnsupported,
                         "%s: needs section '%s' version %u, which this version does not know",
                         shown_path(path).c_str(), name.c_str(), section.version);
    }
    if (section.offset % kPackedSectionAlignment != 0 || section.offset < end ||
        section.offset > file_.size() || section.bytes > file_.size() - section.offset) {
      return invalid(path,
                     format_string("section '%s' is %llu bytes at %llu, expected a multiple of "
                                   "%llu in the file behind what comes before it",
                                   name.c_str(), static_cast<unsigned long long>(section.bytes),
                                   static_cast<unsigned long long>(section.offset),
                                   static_cast<unsigned long long>(kPackedSectionAlignment)));
    }
    end = section.offset + section.bytes;
  }
  return Status();
}

Status PackedFile::damaged(const PackedSection& section) const {
  return invalid(
      path(), "section '" + printable(section.name_view()) + "' is damaged: its checksum differs");
}

Status PackedFile::check_section(const PackedSection& section,
                                 const std::function<void(int64_t)>& on_bytes) const {
  ContentHasher hasher;
  std::span<const uint8_t> left = bytes(section);
  while (!left.empty()) {
    const std::span<const uint8_t> piece = left.first(std::min(left.size(), kHashedAtOnce));
    hasher.add(piece);
    left = left.subspan(piece.size());
    if (on_bytes != nullptr) on_bytes(static_cast<int64_t>(piece.size()));
  }
  return hasher.hash() == section.hash ? Status() : damaged(section);
}

Status PackedFile::check_padding() const {
  uint64_t at = sizeof(header_) + sections_.size() * sizeof(PackedSection);
  const auto check_until = [&](uint64_t end) {
    const uint8_t* first = file_.data() + at;
    const uint8_t* last = file_.data() + end;
    const uint8_t* found = std::find_if(first, last, [](uint8_t byte) { return byte != 0; });
    if (found == last) return Status();
    return invalid(path(), format_string("byte %llu between sections is not zero",
                                         static_cast<unsigned long long>(found - file_.data())));
  };
  for (const PackedSection& section : sections_) {
    MIDGE_RETURN_IF_ERROR(check_until(section.offset));
    at = section.offset + section.bytes;
  }
  return check_until(file_.size());
}

Status PackedFile::verify(const std::function<void(int64_t, int64_t)>& on_progress) const {
  int64_t total = 0;
  for (const PackedSection& section : sections_) total += static_cast<int64_t>(section.bytes);
  int64_t done = 0;
  const auto on_bytes = [&](int64_t bytes) {
    done += bytes;
    if (on_progress != nullptr) on_progress(done, total);
  };
  for (const PackedSection& section : sections_) {
    MIDGE_RETURN_IF_ERROR(check_section(section, on_bytes));
  }
  return check_padding();
}

const PackedSection* PackedFile::find(std::string_view name) const {
  const auto found = std::find_if(sections_.begin(), sections_.end(), [&](const auto& section) {
    return section.name_view() == name && section.version == kKnownSectionVersion;
  });
  return found == sections_.end() ? nullptr : &*found;
}

std::span<const uint8_t> PackedFile::bytes(std::string_view name) const {
  const PackedSection* section = find(name);
  return section == nullptr ? std::span<const uint8_t>() : bytes(*section);
}

void PackedFile::release_pages(const void* start, int64_t bytes) const {
  if (file_.is_mapped()) midge::release_pages(start, static_cast<uint64_t>(bytes));
}

bool is_packed_file(const std::string& path) {
  if (!is_regular_file(path)) return false;  // a pipe would wait for a writer
  if (path.ends_with(".midge")) return true;
  char magic[8] = {};
  std::FILE* file = std::fopen(path.c_str(), "rbe");
  if (file == nullptr) return false;
  const size_t read = std::fread(magic, 1, sizeof(magic), file);
  std::fclose(file);
  return read == sizeof(magic) && std::string_view(magic, sizeof(magic)) == kPackedMagic;
}

}  // namespace midge
