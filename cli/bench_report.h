// What midge bench found, for people and for machines.
#pragma once

#include <string>
#include <vector>

#include "bench/model/compare.h"
#include "bench/model/energy.h"
#include "bench/model/measure.h"
#include "bench/model/sustained.h"

namespace midge {

/// A whole run.
struct BenchDocument {
  bench::MachineInfo machine;
  std::string date;  ///< "2026-11-28T10:11:12Z"
  std::vector<bench::SubjectReport> subjects;
  std::vector<bench::SustainedReport> sustained;  ///< of the subjects, or empty
  std::vector<bench::CostReport> costs;           ///< of the subjects, or empty
};

/// Tables of up to 100 columns.
std::string bench_text(const BenchDocument& document);
/// What --compare found, likewise.
std::string comparison_text(const bench::Comparison& comparison);
/// A name in so many columns, of a long one its end, which tells more.
std::string end_of_name(const std::string& name, size_t columns);
/// Schema "midge.bench".
std::string bench_json(const BenchDocument& document);
/// A line per figure.
std::string bench_csv(const BenchDocument& document);
/// A table whose rows fit beside those of llama-bench.
std::string bench_markdown(const BenchDocument& document);

}  // namespace midge
