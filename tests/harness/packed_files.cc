#include "tests/harness/packed_files.h"

#include <algorithm>
#include <cstring>

namespace midge::test {
namespace {

std::span<const uint8_t> bytes_of(const char* data, size_t size) {
  return {reinterpret_cast<const uint8_t*>(data), size};
}

std::vector<PackedSection> directory_of(std::string_view file) {
  PackedHeader header;
  std::memcpy(&header, file.data(), sizeof(header));
  const size_t room = (file.size() - sizeof(header)) / sizeof(PackedSection);
  std::vector<PackedSection> sections(
      std::min<size_t>({header.section_count, room, size_t{kPackedSectionsMax}}));
  if (!sections.empty()) {
    std::memcpy(sections.data(), file.data() + sizeof(header),
                sections.size() * sizeof(PackedSection));
  }
  return sections;
}

}  // namespace

std::vector<SectionBytes> split_packed(std::string_view file) {
  std::vector<SectionBytes> parts;
  for (const PackedSection& section : directory_of(file)) {
    parts.push_back({std::string(section.name_view()), section.flags,
                     std::string(file.substr(section.offset, section.bytes)), section.version});
  }
  return parts;
}

std::string join_packed(const std::vector<SectionBytes>& parts) {
  std::vector<PackedSection> sections;
  std::string file(sizeof(PackedHeader) + parts.size() * sizeof(PackedSection), '\0');
  for (const SectionBytes& part : parts) {
    file.resize((file.size() + kPackedSectionAlignment - 1) / kPackedSectionAlignment *
                kPackedSectionAlignment);
    PackedSection section;
    std::copy_n(part.name.begin(), std::min(part.name.size(), sizeof(section.name)), section.name);
    section.flags = part.flags;
    section.version = part.version;
    section.offset = file.size();
    section.bytes = part.bytes.size();
    sections.push_back(section);
    file += part.bytes;
  }
  PackedHeader header;
  std::copy(kPackedMagic.begin(), kPackedMagic.end(), header.magic);
  header.section_count = static_cast<uint32_t>(sections.size());
  std::memcpy(file.data(), &header, sizeof(header));
  if (!sections.empty()) {
    std::memcpy(file.data() + sizeof(header), sections.data(),
                sections.size() * sizeof(PackedSection));
  }
  return with_right_checksums(std::move(file));
}

std::string with_right_checksums(std::string file) {
  if (file.size() < sizeof(PackedHeader)) return file;
  PackedHeader header;
  std::memcpy(&header, file.data(), sizeof(header));
  std::vector<PackedSection> sections = directory_of(file);
  for (PackedSection& section : sections) {
    if (section.offset > file.size() || section.bytes > file.size() - section.offset) continue;
    section.hash = hash_bytes(bytes_of(file.data() + section.offset, section.bytes));
  }
  header.file_bytes = file.size();
  header.content_id = packed_content_id(sections);
  header.checksum = packed_header_checksum(header, sections);
  std::memcpy(file.data(), &header, sizeof(header));
  if (!sections.empty()) {
    std::memcpy(file.data() + sizeof(header), sections.data(),
                sections.size() * sizeof(PackedSection));
  }
  return file;
}

}  // namespace midge::test
