#include "cli/core_report.h"

#include <algorithm>

#include "cli/terminal.h"
#include "engine/core/visible.h"

namespace midge {
namespace {

std::string cache_text(int64_t bytes) {
  if (bytes <= 0) return "";
  if (bytes >= 1 << 20) return format_string("%.3g MiB", static_cast<double>(bytes) / (1 << 20));
  return format_string("%lld KiB", static_cast<long long>(bytes >> 10));
}

std::string list_text(std::vector<int> cores) {
  std::sort(cores.begin(), cores.end());
  return core_list_text(cores);
}

const CpuCore& first_core(const Topology& topology, const CpuCluster& cluster) {
  return *topology.find(cluster.cores.front());
}

// Classes that follow each other with the same cores for the same reason are one.
int last_alike(const CoreChoice& choice, int first) {
  int last = first;
  while (last + 1 < kPassClassCount && choice.sets[last + 1].cores == choice.sets[first].cores &&
         choice.sets[last + 1].why == choice.sets[first].why) {
    ++last;
  }
  return last;
}

}  // namespace

void print_cores(const Topology& topology, const CoreChoice& choice) {
  print(stdout, "cores           %zu of %d, by %s\n", topology.cores.size(), topology.present,
        visible_text(topology.source, Layout::kOneLine).c_str());
  for (const CpuCluster& cluster : topology.clusters) {
    std::string text = visible_text(cluster.design, Layout::kOneLine);
    if (cluster.frequency > 0) {
      text += format_string(", %.2f GHz", static_cast<double>(cluster.frequency) * 1e-6);
    }
    const CpuCore& core = first_core(topology, cluster);
    if (const std::string l2 = cache_text(core.l2_bytes); !l2.empty()) text += ", L2 " + l2;
    if (const std::string l3 = cache_text(core.l3_bytes); !l3.empty()) text += ", L3 " + l3;
    print(stdout, "cluster         %-10s  %s\n", list_text(cluster.cores).c_str(), text.c_str());
  }
  if (topology.quota > 0) print(stdout, "quota           %.2g cores\n", topology.quota);
  for (const std::string& note : topology.notes) {
    print(stdout, "note            %s\n", visible_text(note, Layout::kOneLine).c_str());
  }
  for (int first = 0; first < kPassClassCount; ++first) {
    const int last = last_alike(choice, first);
    const CoreSet& set = choice.sets[first];
    std::string classes = pass_class_name(static_cast<PassClass>(first));
    if (last == kPassClassCount - 1 && first == 0) {
      classes = "all passes";
    } else if (last == static_cast<int>(PassClass::kSomeRows) && first == 0) {
      classes = "decode";
    } else {
      for (int i = first + 1; i <= last; ++i) {
        classes += std::string(", ") + pass_class_name(static_cast<PassClass>(i));
      }
    }
    print(stdout, "%-14s  %-10s  %s\n", classes.c_str(), list_text(set.cores).c_str(),
          set.why.c_str());
    first = last;
  }
}

void write_cores(JsonWriter& json, const Topology& topology, const CoreChoice& choice) {
  json.begin_object("topology").member("source", topology.source);
  json.member("present", int64_t{topology.present}).member("quota", topology.quota);
  json.begin_array("clusters");
  for (const CpuCluster& cluster : topology.clusters) {
    const CpuCore& core = first_core(topology, cluster);
    json.begin_object().member("design", cluster.design).begin_array("cores");
    for (const int number : cluster.cores) json.element(int64_t{number});
    json.end_array().member("kilohertz", cluster.frequency);
    json.member("l2_bytes", core.l2_bytes).member("l3_bytes", core.l3_bytes);
    json.member("capacity", int64_t{core.capacity}).end_object();
  }
  json.end_array().begin_array("notes");
  for (const std::string& note : topology.notes) json.element(note);
  json.end_array().end_object().begin_array("core_sets");
  for (int i = 0; i < kPassClassCount; ++i) {
    json.begin_object().member("passes", pass_class_name(static_cast<PassClass>(i)));
    json.begin_array("cores");
    for (const int number : choice.sets[i].cores) json.element(int64_t{number});
    json.end_array().member("why", choice.sets[i].why).end_object();
  }
  json.end_array();
}

void print_core_work(std::FILE* stream, const WorkerTeam& team) {
  const std::vector<CoreWork> work = team.work();
  if (work.empty()) return;
  print(stream, "passes    core   number   seconds  worked  no core   rate\n");
  for (const CoreWork& w : work) {
    const std::string core = w.core < 0 ? "any" : std::to_string(w.core);
    const double seconds = w.seconds > 0 ? w.seconds : 1;
    print(stream, "%-8s  %4s  %7lld  %8.3f  %4.0f %%  %5.1f %%", pass_class_name(w.pass_class),
          core.c_str(), static_cast<long long>(w.passes), w.seconds, 100 * w.busy / seconds,
          100 * std::max(0.0, w.away) / seconds);
    if (w.busy > 0) print(stream, "  %6.2f GMAC/s", w.work / w.busy * 1e-9);
    print(stream, "\n");
  }
  if (!team.pin_refusal().empty()) {
    print(stream, "note: not every thread is pinned: %s\n", team.pin_refusal().c_str());
  }
}

void write_core_work(JsonWriter& json, const WorkerTeam& team) {
  json.member("pinned", team.pins()).member("pin_refusal", team.pin_refusal());
  json.begin_array("cores");
  for (const CoreWork& w : team.work()) {
    json.begin_object().member("passes", pass_class_name(w.pass_class));
    json.member("core", int64_t{w.core}).member("count", w.passes);
    json.member("seconds", w.seconds).member("busy_seconds", w.busy);
    json.member("away_seconds", std::max(0.0, w.away));
    json.member("multiply_adds", w.work).end_object();
  }
  json.end_array();
}

}  // namespace midge
