#include "bench/model/compare.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "engine/core/visible.h"
#include "engine/formats/json.h"

namespace midge::bench {
namespace {

constexpr uint64_t kResultBytesMax = 32 << 20;
// Of two runs of the same program on an idle machine; docs/performance.md.
constexpr double kNoiseMin = 0.02;

// Of a subject, by the name it has in a result, and what it is there.
struct Setting {
  std::string subject;
  std::string name;
  std::string value;
};

struct Entry {
  std::string subject;
  std::string figure;
  bool is_disturbed = false;
  double seconds = 0;
  double spread = 0;
  double bandwidth = 0;
};

struct Results {
  std::string machine;
  std::vector<Setting> settings;
  std::vector<Entry> entries;
};

// Results of other programs' making may lack any of them.
Status read_settings(const JsonObject& subject, std::string_view subject_name, Results* results) {
  MIDGE_ASSIGN_OR_RETURN(const double threads, subject.number_or("threads", 0));
  if (threads > 0) {
    results->settings.push_back(
        {std::string(subject_name), "threads", format_string("%.0f", threads)});
  }
  for (const char* name : {"level", "kv_type", "kernels"}) {
    MIDGE_ASSIGN_OR_RETURN(const std::string_view value, subject.string_or(name, ""));
    if (value.empty()) continue;
    results->settings.push_back({std::string(subject_name), name, std::string(value)});
  }
  return Status();
}

Result<Results> read_results(const JsonDocument& document, const std::string& path) {
  MIDGE_ASSIGN_OR_RETURN(const JsonObject root, document.root());
  MIDGE_ASSIGN_OR_RETURN(const std::string_view schema, root.string_or("schema", ""));
  if (schema != "midge.bench") {
    return make_status(StatusCode::kInvalidFile,
                       "%s: not a result of midge bench --json: its schema is '%s'",
                       shown_path(path).c_str(), printable(std::string(schema)).c_str());
  }
  Results results;
  MIDGE_ASSIGN_OR_RETURN(const JsonObject machine, root.object("machine"));
  MIDGE_ASSIGN_OR_RETURN(results.machine, machine.string("cores"));
  MIDGE_ASSIGN_OR_RETURN(const simdjson::dom::array subjects, root.array("subjects"));
  const std::string name = path + ": subjects";
  for (const simdjson::dom::element subject_element : subjects) {
    simdjson::dom::object subject_object;
    if (subject_element.get(subject_object) != simdjson::SUCCESS) continue;
    const JsonObject subject(subject_object, &name);
    MIDGE_ASSIGN_OR_RETURN(const std::string_view subject_name, subject.string("name"));
    MIDGE_RETURN_IF_ERROR(read_settings(subject, subject_name, &results));
    MIDGE_ASSIGN_OR_RETURN(const simdjson::dom::array figures, subject.array("figures"));
    for (const simdjson::dom::element element : figures) {
      simdjson::dom::object object;
      if (element.get(object) != simdjson::SUCCESS) continue;
      const JsonObject figure(object, &name);
      Entry entry;
      entry.subject = subject_name;
      MIDGE_ASSIGN_OR_RETURN(const std::string_view section, figure.string("section"));
      MIDGE_ASSIGN_OR_RETURN(const std::string_view label, figure.string("label"));
      entry.figure = std::string(section) + " " + std::string(label);
      MIDGE_ASSIGN_OR_RETURN(entry.seconds, figure.number("seconds"));
      MIDGE_ASSIGN_OR_RETURN(entry.spread, figure.number("spread"));
      MIDGE_ASSIGN_OR_RETURN(entry.bandwidth, figure.number_or("read_bandwidth", 0));
      MIDGE_ASSIGN_OR_RETURN(entry.is_disturbed, figure.boolean_or("disturbed", false));
      results.entries.push_back(std::move(entry));
    }
  }
  return results;
}

Result<Results> load_results(const std::string& path) {
  MIDGE_ASSIGN_OR_RETURN(const JsonDocument document, JsonDocument::load(path, kResultBytesMax));
  return read_results(document, path);
}

const Entry* find(const Results& results, const Entry& like) {
  for (const Entry& entry : results.entries) {
    if (entry.subject == like.subject && entry.figure == like.figure) return &entry;
  }
  return nullptr;
}

}  // namespace

Result<Comparison> compare_results(const std::string& old_path, const std::string& new_path) {
  MIDGE_ASSIGN_OR_RETURN(const Results before, load_results(old_path));
  MIDGE_ASSIGN_OR_RETURN(const Results now, load_results(new_path));
  Comparison comparison;
  if (before.machine != now.machine) {
    comparison.notes.push_back("the machines differ: " + before.machine + ", and " + now.machine);
  }
  for (const Setting& setting : now.settings) {
    for (const Setting& old : before.settings) {
      if (old.subject != setting.subject || old.name != setting.name) continue;
      if (old.value == setting.value) continue;
      comparison.notes.push_back(setting.subject + ": " + setting.name + ": " + old.value +
                                 ", now " + setting.value);
    }
  }
  for (const Entry& entry : now.entries) {
    const Entry* old = find(before, entry);
    if (old == nullptr) {
      comparison.notes.push_back("only the new result has " + entry.subject + ", " + entry.figure);
      continue;
    }
    if (old->seconds <= 0 || entry.seconds <= 0) continue;
    Change change;
    change.subject = entry.subject;
    change.figure = entry.figure;
    change.old_seconds = old->seconds;
    change.new_seconds = entry.seconds;
    change.ratio = entry.seconds / old->seconds;
    change.is_disturbed = old->is_disturbed || entry.is_disturbed;
    double drift = 0;
    if (old->bandwidth > 0 && entry.bandwidth > 0) {
      drift = std::abs(std::log(entry.bandwidth / old->bandwidth));
    }
    change.noise = std::max(kNoiseMin, 2 * std::hypot(old->spread, entry.spread) + drift);
    comparison.changes.push_back(std::move(change));
  }
  const auto has_spread = [](const Entry& entry) { return entry.spread > 0; };
  if (!comparison.changes.empty() &&
      (std::none_of(now.entries.begin(), now.entries.end(), has_spread) ||
       std::none_of(before.entries.begin(), before.entries.end(), has_spread))) {
    comparison.notes.push_back("a result of one round has no spread: its noise is not known");
  }
  for (const Entry& entry : before.entries) {
    if (find(now, entry) == nullptr) {
      comparison.notes.push_back("only the old result has " + entry.subject + ", " + entry.figure);
    }
  }
  return comparison;
}

}  // namespace midge::bench
