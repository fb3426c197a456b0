// Measured rates on disk: a small text file in a folder that the user names.
#pragma once

#include <string>
#include <string_view>

#include "engine/calibration/calibration.h"
#include "engine/core/status.h"

namespace midge {

/// What rates are valid for: types and numbers of the cores, and the kernels of this build.
std::string calibration_key(std::span<const CoreType> cores);

/// The text of a file. Pure.
std::string calibration_text(const Calibration& calibration, std::string_view key);

/// Reads the text of a file back. Lines that this build does not understand (a kernel that it
/// lacks) are left out. Errors: invalid_file (not such a file, damaged, cut off, of another key).
/// Pure.
Result<Calibration> parse_calibration(std::string_view text, std::string_view key);

/// Where the rates of a key are kept: one file per key.
std::string calibration_path(const std::string& cache_dir, std::string_view key);

/// Errors: not_found, io_error, invalid_file.
Result<Calibration> load_calibration(const std::string& path, std::string_view key);

/// Writes the file at once: others see the old one or the new one, whenever this process ends.
/// Makes the folder, and those above it, with mode 0700. Errors: io_error.
Status save_calibration(const std::string& path, std::string_view key,
                        const Calibration& calibration);

}  // namespace midge
