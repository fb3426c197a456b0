#include "engine/packed/packed_writer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/core/check.h"
#include "engine/core/pages.h"
#include "engine/core/visible.h"

namespace midge {
namespace {

uint64_t aligned(uint64_t offset) {
  return (offset + kPackedSectionAlignment - 1) / kPackedSectionAlignment * kPackedSectionAlignment;
}

Status io_error(const std::string& path, const char* what, int error) {
  return make_status(StatusCode::kIoError, "%s: cannot %s: %s", shown_path(path).c_str(), what,
                     std::strerror(error));
}

}  // namespace

PackedWriter::~PackedWriter() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

PackedWriter& PackedWriter::operator=(PackedWriter&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(sections_, other.sections_);
  std::swap(is_hashed_, other.is_hashed_);
  return *this;
}

Result<PackedWriter> PackedWriter::create(const std::string& path,
                                          std::span<const PlannedSection> sections,
                                          TemporaryFile::Readers readers) {
  PackedWriter writer;
  writer.path_ = path;
  uint64_t end = sizeof(PackedHeader) + sections.size() * sizeof(PackedSection);
  for (const PlannedSection& planned : sections) {
    MIDGE_DCHECK(planned.name.size() <= sizeof(PackedSection::name), "%zu bytes",
                 planned.name.size());
    PackedSection section;
    std::copy(planned.name.begin(), planned.name.end(), section.name);
    section.version = planned.version;
    section.flags = planned.flags;
    section.offset = aligned(end);
    section.bytes = planned.bytes;
    end = section.offset + section.bytes;
    writer.sections_.push_back(section);
  }
  writer.is_hashed_.assign(sections.size(), false);
  writer.size_ = end;
  MIDGE_ASSIGN_OR_RETURN(writer.file_, TemporaryFile::create(path, readers));
  // A hole would be found out when the disk is full, by a signal.
  const int error = ::posix_fallocate(writer.file_.fd(), 0, static_cast<off_t>(end));
  if (error != 0) {
    return io_error(path, format_string("take %.1f MB", static_cast<double>(end) * 1e-6).c_str(),
                    error);
  }
  void* data = ::mmap(nullptr, end, PROT_READ | PROT_WRITE, MAP_SHARED, writer.file_.fd(), 0);
  if (data == MAP_FAILED) return io_error(path, "map", errno);
  writer.data_ = static_cast<uint8_t*>(data);
  return writer;
}

std::span<uint8_t> PackedWriter::bytes(size_t section) const {
  return {data_ + sections_[section].offset, static_cast<size_t>(sections_[section].bytes)};
}

void PackedWriter::written(uint64_t offset, uint64_t bytes) const {
  // By its number: the function came to Android with API 26.
#if defined(SYNC_FILE_RANGE_WRITE) && defined(SYS_sync_file_range)
  static_cast<void>(::syscall(SYS_sync_file_range, file_.fd(), static_cast<off_t>(offset),
                              static_cast<off_t>(bytes), SYNC_FILE_RANGE_WRITE));
#endif
  release_pages(data_ + offset, bytes);
}

void PackedWriter::set_hash(size_t section, const ContentHash& hash) {
  sections_[section].hash = hash;
  is_hashed_[section] = true;
}

ContentHash PackedWriter::complete() {
  for (size_t i = 0; i < sections_.size(); ++i) {
    if (!is_hashed_[i]) sections_[i].hash = hash_bytes(bytes(i));
  }
  PackedHeader header;
  std::copy(kPackedMagic.begin(), kPackedMagic.end(), header.magic);
  header.section_count = static_cast<uint32_t>(sections_.size());
  header.file_bytes = size_;
  header.content_id = packed_content_id(sections_);
  header.checksum = packed_header_checksum(header, sections_);
  std::memcpy(data_, &header, sizeof(header));
  std::memcpy(data_ + sizeof(header), sections_.data(), sections_.size() * sizeof(PackedSection));
  return header.content_id;
}

Result<ContentHash> PackedWriter::publish() {
  const ContentHash content_id = complete();
  // Errors of the device come up here, not when the pages were written to.
  if (::msync(data_, size_, MS_SYNC) != 0) return io_error(path_, "write", errno);
  MIDGE_RETURN_IF_ERROR(file_.publish(true));
  return content_id;
}

}  // namespace midge
