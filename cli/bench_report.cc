#include "cli/bench_report.h"

#include <algorithm>
#include <cmath>

#include "bench/model/statistics.h"
#include "cli/version.h"
#include "engine/core/visible.h"
#include "engine/formats/json_writer.h"

namespace midge {
namespace {

using bench::Figure;
using bench::median;
using bench::quantile;
using bench::Round;
using bench::SubjectReport;

double seconds_of(const Figure& figure) { return median(figure.of_rounds(&Round::seconds)); }
double spread_of(const Figure& figure) {
  return bench::relative_spread(figure.of_rounds(&Round::seconds));
}
double rate_of(const Figure& figure) { return figure.tokens / seconds_of(figure); }

std::string one_line(const std::string& text) { return visible_text(text, Layout::kOneLine); }

std::string seconds_text(double seconds) {
  if (seconds >= 10) return format_string("%.1f s", seconds);
  if (seconds >= 1) return format_string("%.2f s", seconds);
  return format_string("%.2f ms", seconds * 1e3);
}

std::string number_or_blank(double value, const char* format) {
  if (value <= 0) return "";
  char text[32];
  std::snprintf(text, sizeof(text), format, value);
  return text;
}

std::string count_text(int64_t count) {
  const auto value = static_cast<double>(count);
  return value < 1e9 ? format_string("%.1f million", value * 1e-6)
                     : format_string("%.2f billion", value * 1e-9);
}

// "rows" and "requests" are about what the first of their section costs.
std::string label_of(const SubjectReport& subject, const Figure& figure) {
  std::string label = figure.label;
  if (figure.section != "rows" && figure.section != "requests") return label;
  const Figure* one = subject.find(figure.section, 1);
  if (one == nullptr || one == &figure || one->rounds.empty()) return label;
  const std::vector<double> times = figure.of_rounds(&Round::seconds);
  return label + format_string(", %.2f of 1", median(times) / seconds_of(*one));
}

std::string figure_line(const SubjectReport& subject, const Figure& figure, bool first) {
  const double seconds = seconds_of(figure);
  const double gigabytes = figure.bytes / seconds * 1e-9;
  const std::vector<double> samples = figure.samples();
  return format_string(
      "%-9s%-25s%10s%9s%10s%10s%6.1f%%%7s%6s%6s%s\n", first ? figure.section.c_str() : "",
      label_of(subject, figure).c_str(), seconds_text(seconds).c_str(),
      figure.tokens > 0 ? number_or_blank(rate_of(figure), "%.2f").c_str() : "",
      seconds_text(quantile(samples, 0.95)).c_str(), seconds_text(quantile(samples, 0.99)).c_str(),
      100 * spread_of(figure), number_or_blank(gigabytes, "%.1f").c_str(),
      number_or_blank(median(figure.of_rounds(&Round::read_fraction)), "%.2f").c_str(),
      number_or_blank(median(figure.of_rounds(&Round::peak_fraction)), "%.2f").c_str(),
      figure.is_disturbed() ? " ~" : "");
}

std::string gate_text(const bench::GateReport& gate) {
  return format_string("passed in %s: %s%s", seconds_text(gate.seconds).c_str(),
                       gate.has_generic ? "the chosen kernels give the bits of the generic ones"
                                        : "float arithmetic gives finite numbers",
                       gate.is_known ? ", which are those on record" : "");
}

void add_limits(const SubjectReport& subject, std::string* text) {
  std::vector<double> peaks;
  std::vector<double> clocks;
  double low = 0;
  double high = 0;
  for (const bench::RoundState& round : subject.rounds) {
    peaks.push_back(round.integer_peak);
    clocks.push_back(round.clock);
    low = low == 0 ? round.bandwidth_low : std::min(low, round.bandwidth_low);
    high = std::max(high, round.bandwidth_high);
  }
  if (peaks.empty()) return;
  *text += format_string("limits   read %.1f to %.1f GB/s, ", low * 1e-9, high * 1e-9);
  if (median(peaks) > 0) {
    *text += format_string("integer peak %.0f GMAC/s, ", median(peaks) * 1e-9);
  }
  *text += format_string("clock %.2f GHz", median(clocks) * 1e-9);
  if (subject.after.temperature.has_value()) {
    *text += format_string(", %.0f to %.0f degrees C",
                           subject.before.temperature.value_or(*subject.after.temperature),
                           *subject.after.temperature);
  }
  *text += "\n";
}

void add_disturbances(const SubjectReport& subject, std::string* text) {
  for (size_t i = 0; i < subject.rounds.size(); ++i) {
    if (subject.rounds[i].disturbance.empty()) continue;
    *text +=
        format_string("disturbed: round %zu, %s\n", i + 1, subject.rounds[i].disturbance.c_str());
  }
  const bool any = std::any_of(subject.figures.begin(), subject.figures.end(),
                               [](const Figure& figure) { return figure.is_disturbed(); });
  if (any) *text += "~ most rounds of this line were disturbed, or memory got faster or slower\n";
}

void add_subject(const SubjectReport& subject, std::string* text) {
  *text += format_string("model    %s: %s, %s parameters, %.2f GB a token, KV %s\n",
                         one_line(subject.name).c_str(), subject.family.c_str(),
                         count_text(subject.parameters).c_str(),
                         static_cast<double>(subject.token_bytes) * 1e-9, subject.kv_type.c_str());
  *text += format_string("kernels  %d threads, level %s: %s\n", subject.threads,
                         subject.level.c_str(), subject.kernels.c_str());
  *text += "check    " + gate_text(subject.gate) + "\n";
  add_limits(subject, text);
  *text += format_string("\n%-34s%10s%9s%10s%10s%7s%7s%6s%6s\n", "", "median", "tok/s", "p95",
                         "p99", "spread", "GB/s", "read", "peak");
  const std::string* section = nullptr;
  for (const Figure& figure : subject.figures) {
    *text += figure_line(subject, figure, section == nullptr || *section != figure.section);
    section = &figure.section;
  }
  const bench::ProcessMemory& memory = subject.memory;
  *text += format_string("memory   peak %.2f GB; now %.2f GB anonymous, %.2f GB of files\n",
                         static_cast<double>(memory.peak) * 1e-9,
                         static_cast<double>(memory.anonymous) * 1e-9,
                         static_cast<double>(memory.file) * 1e-9);
  for (const std::string& note : subject.notes) *text += "note     " + note + "\n";
  add_disturbances(subject, text);
}

// The figures that people choose a model by.
const Figure* main_figure(const SubjectReport& subject, const char* section) {
  const Figure* found = nullptr;
  for (const Figure& figure : subject.figures) {
    if (figure.section != section) continue;
    // A prompt of 128 is what people type; decode is compared at its shortest.
    const bool is_typed = figure.section == "prompt" && figure.at == 128;
    if (found == nullptr || is_typed) found = &figure;
  }
  return found;
}

void add_summary(const BenchDocument& document, std::string* text) {
  *text +=
      "\nmodel                         size GB   tok/s  prompt tok/s  first token  memory GB"
      "  accuracy\n";
  for (const SubjectReport& subject : document.subjects) {
    const Figure* decode = main_figure(subject, "decode");
    const Figure* prompt = main_figure(subject, "prompt");
    const bool is_disturbed = (decode != nullptr && decode->is_disturbed()) ||
                              (prompt != nullptr && prompt->is_disturbed());
    *text += format_string(
        "%-29s %8.2f %7s %13s %12s %10.2f  %s%s\n", end_of_name(subject.name, 29).c_str(),
        static_cast<double>(subject.model_bytes) * 1e-9,
        decode == nullptr ? "" : number_or_blank(rate_of(*decode), "%.2f").c_str(),
        prompt == nullptr ? "" : number_or_blank(rate_of(*prompt), "%.2f").c_str(),
        prompt == nullptr ? "" : seconds_text(seconds_of(*prompt)).c_str(),
        static_cast<double>(subject.memory.peak) * 1e-9,
        subject.path.empty() ? "needs real weights" : "see midge eval", is_disturbed ? " ~" : "");
  }
}

// Of the seconds of two figures, round by round. Disturbed pairs count only where most are, which
// *is_disturbed tells.
bench::Ratio ratio_of_rounds(const Figure& base, const Figure& figure, bool* is_disturbed) {
  const size_t count = std::min(base.rounds.size(), figure.rounds.size());
  std::vector<double> all[2];
  std::vector<double> calm[2];
  for (size_t i = 0; i < count; ++i) {
    const Round* pair[] = {&base.rounds[i], &figure.rounds[i]};
    for (size_t k = 0; k < 2; ++k) {
      all[k].push_back(pair[k]->seconds);
      if (!pair[0]->disturbed && !pair[1]->disturbed) calm[k].push_back(pair[k]->seconds);
    }
  }
  *is_disturbed = 2 * calm[0].size() < count;
  return *is_disturbed ? bench::paired_ratio(all[0], all[1])
                       : bench::paired_ratio(calm[0], calm[1]);
}

void add_ratios(const BenchDocument& document, std::string* text) {
  const SubjectReport& base = document.subjects.front();
  *text += format_string("\nby the speed of %s\n", one_line(base.name).c_str());
  for (size_t i = 1; i < document.subjects.size(); ++i) {
    const SubjectReport& subject = document.subjects[i];
    for (const Figure& figure : subject.figures) {
      const Figure* other = base.find(figure.section, figure.at);
      if (other == nullptr || other->rounds.empty() || figure.rounds.empty()) continue;
      bool is_disturbed = false;
      const bench::Ratio ratio = ratio_of_rounds(*other, figure, &is_disturbed);
      *text += format_string("%-30s %-9s%-24s %6.3f  (%.3f to %.3f, %.0f %%)%s\n",
                             end_of_name(subject.name, 30).c_str(), figure.section.c_str(),
                             figure.label.c_str(), ratio.middle, ratio.low, ratio.high,
                             100 * ratio.confidence, is_disturbed ? " ~" : "");
    }
  }
}

void add_sustained(const bench::SustainedReport& report, std::string* text) {
  *text += format_string("\nsustained %s\n  second    tok/s    GHz  degrees C\n",
                         one_line(report.name).c_str());
  // Of a long run every minute is shown.
  const size_t step = std::max<size_t>(1, report.stretches.size() / 24);
  for (size_t i = 0; i < report.stretches.size(); i += step) {
    const bench::Stretch& s = report.stretches[i];
    *text += format_string("%8.0f %8.2f %6.2f  %9s\n", s.start, s.tokens_per_second, s.clock * 1e-9,
                           number_or_blank(s.temperature, "%.0f").c_str());
  }
  const double end = report.stretches.back().start;
  const std::string part = end >= 180 ? "minute" : "third";
  *text += format_string("first %s %.2f tok/s, last %s %.2f tok/s, which is %.3f of the first\n",
                         part.c_str(), report.first_minute, part.c_str(), report.last_minute,
                         report.last_minute / report.first_minute);
  *text += report.mean.has_value() ? format_string("mean %.2f tok/s\n", *report.mean)
                                   : format_string("no single rate: the clock moved by %.0f %%\n",
                                                   100 * report.clock_drift);
}

void add_cost(const bench::CostReport& cost, std::string* text) {
  *text += format_string("\ncost     %s, %.2f tok/s: ", one_line(cost.name).c_str(),
                         cost.tokens_per_second);
  if (cost.watts <= 0) {
    *text += "energy not measured: this machine tells none (--watts gives it)\n";
    return;
  }
  *text += format_string("%.3f J a token, %.2f W (%s)\n", cost.joules_per_token, cost.watts,
                         cost.method.c_str());
  if (cost.price_per_million <= 0) return;
  *text += format_string("a million tokens: %.4f for electricity\n", cost.price_per_million);
  for (const auto& [name, price] : cost.list_prices) {
    *text += format_string("  at %s: %.4f, %.1f times as much\n", one_line(name).c_str(), price,
                           price / cost.price_per_million);
  }
}

void write_array(JsonWriter& json, const char* name, const std::vector<double>& values) {
  json.begin_array(name);
  for (const double value : values) json.element(value);
  json.end_array();
}

void write_figure(JsonWriter& json, const Figure& figure) {
  const std::vector<double> samples = figure.samples();
  json.begin_object().member("section", figure.section).member("label", figure.label);
  json.member("at", figure.at).member("seconds", seconds_of(figure));
  json.member("p50", median(samples)).member("p95", quantile(samples, 0.95));
  json.member("p99", quantile(samples, 0.99)).member("spread", spread_of(figure));
  json.member("tokens", figure.tokens).member("tokens_per_second", rate_of(figure));
  json.member("bytes", figure.bytes).member("macs", figure.macs);
  json.member("bytes_per_second", figure.bytes / seconds_of(figure));
  json.member("read_bandwidth", median(figure.of_rounds(&Round::bandwidth)));
  json.member("read_bandwidth_fraction", median(figure.of_rounds(&Round::read_fraction)));
  json.member("integer_peak_fraction", median(figure.of_rounds(&Round::peak_fraction)));
  json.member("disturbed", figure.is_disturbed());
  json.begin_array("rounds");
  for (const Round& round : figure.rounds) {
    json.begin_object().member("seconds", round.seconds).member("read_bandwidth", round.bandwidth);
    json.member("disturbed", round.disturbed).end_object();
  }
  json.end_array();
  write_array(json, "samples", samples);
  json.end_object();
}

void write_state(JsonWriter& json, const char* name, const bench::MachineState& state) {
  json.begin_object(name).member("clock", state.clock);
  json.member("reported_clock", state.reported_clock);
  if (state.temperature.has_value()) json.member("temperature", *state.temperature);
  if (state.throttlings.has_value()) json.member("throttlings", *state.throttlings);
  json.end_object();
}

void write_subject(JsonWriter& json, const SubjectReport& subject) {
  // Folders are nobody's business who reads a result.
  const std::string file = subject.path.substr(subject.path.rfind('/') + 1);
  json.begin_object().member("name", subject.name).member("file", file);
  json.member("family", subject.family).member("parameters", subject.parameters);
  json.member("model_bytes", subject.model_bytes).member("token_bytes", subject.token_bytes);
  json.member("threads", int64_t{subject.threads}).member("level", subject.level);
  json.member("kernels", subject.kernels).member("kv_type", subject.kv_type);
  json.begin_object("check").member("content_id", subject.gate.content_id);
  json.member("fingerprint",
              format_string("%016llx", static_cast<unsigned long long>(subject.gate.fingerprint)));
  json.member("on_record", subject.gate.is_known).member("seconds", subject.gate.seconds);
  json.end_object();
  json.begin_object("memory").member("peak", subject.memory.peak);
  json.member("anonymous", subject.memory.anonymous).member("file", subject.memory.file);
  json.end_object();
  write_state(json, "before", subject.before);
  write_state(json, "after", subject.after);
  json.begin_array("rounds");
  for (const bench::RoundState& round : subject.rounds) {
    json.begin_object().member("clock", round.clock);
    json.member("read_bandwidth_low", round.bandwidth_low);
    json.member("read_bandwidth_high", round.bandwidth_high);
    json.member("integer_peak", round.integer_peak).member("other_cores", round.others);
    json.member("disturbance", round.disturbance).end_object();
  }
  json.end_array().begin_array("figures");
  for (const Figure& figure : subject.figures) write_figure(json, figure);
  json.end_array().begin_array("notes");
  for (const std::string& note : subject.notes) json.element(note);
  json.end_array().end_object();
}

void write_sustained(JsonWriter& json, const bench::SustainedReport& report) {
  json.begin_object().member("name", report.name);
  json.member("first_minute", report.first_minute);
  json.member("last_minute", report.last_minute).member("clock_drift", report.clock_drift);
  if (report.mean.has_value()) json.member("mean", *report.mean);
  json.begin_array("stretches");
  for (const bench::Stretch& s : report.stretches) {
    json.begin_object().member("start", s.start).member("tokens_per_second", s.tokens_per_second);
    json.member("clock", s.clock).member("temperature", s.temperature).end_object();
  }
  json.end_array().end_object();
}

void write_cost(JsonWriter& json, const bench::CostReport& cost) {
  json.begin_object().member("name", cost.name).member("method", cost.method);
  json.member("tokens_per_second", cost.tokens_per_second).member("watts", cost.watts);
  json.member("joules_per_token", cost.joules_per_token);
  json.member("price_per_million", cost.price_per_million).begin_array("list_prices");
  for (const auto& [name, price] : cost.list_prices) {
    json.begin_object().member("name", name).member("price", price).end_object();
  }
  json.end_array().end_object();
}

// As llama-bench names its tests: pp512, tg1 @ d1024.
std::string llama_test(const Figure& figure) {
  const auto at = static_cast<long long>(figure.at);
  if (figure.section == "prompt") return format_string("pp%lld", at);
  if (figure.section == "decode") {
    return at == 0 ? std::string("tg1") : format_string("tg1 @ d%lld", at);
  }
  if (figure.section == "rows") return format_string("%lld rows", at);
  if (figure.section == "requests") return format_string("%lld requests", at);
  return "";
}

// For a cell of a table of Markdown.
std::string cell(const std::string& text) {
  std::string safe;
  for (const char c : one_line(text)) safe += c == '|' ? std::string("\\|") : std::string(1, c);
  return safe;
}

// For a field of CSV (RFC 4180).
std::string field(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : one_line(text)) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

}  // namespace

std::string bench_text(const BenchDocument& document) {
  std::string text =
      format_string("machine  %s, %.1f GB; %s\n", one_line(document.machine.cores).c_str(),
                    static_cast<double>(document.machine.memory_bytes) * 1e-9,
                    one_line(document.machine.system).c_str());
  for (const SubjectReport& subject : document.subjects) {
    if (&subject != &document.subjects.front()) text += "\n";
    add_subject(subject, &text);
  }
  if (document.subjects.size() > 1) {
    add_summary(document, &text);
    add_ratios(document, &text);
  }
  for (const bench::SustainedReport& report : document.sustained) add_sustained(report, &text);
  for (const bench::CostReport& cost : document.costs) add_cost(cost, &text);
  return text;
}

std::string end_of_name(const std::string& name, size_t columns) {
  const std::string line = one_line(name);
  return line.size() <= columns ? line : "..." + line.substr(line.size() - (columns - 3));
}

std::string comparison_text(const bench::Comparison& comparison) {
  std::string text =
      format_string("%-50s %10s %10s  %6s  %6s\n", "", "old ms", "new ms", "ratio", "noise");
  size_t changed = 0;
  bool any_disturbed = false;
  for (const bench::Change& change : comparison.changes) {
    changed += change.is_change();
    any_disturbed |= change.is_disturbed;
    const char* what = !change.is_change() ? "" : change.ratio < 1 ? "faster" : "slower";
    text += format_string("%-50s %10.3f %10.3f  %6.3f  %5.1f%%  %s%s\n",
                          end_of_name(change.subject + ", " + change.figure, 50).c_str(),
                          change.old_seconds * 1e3, change.new_seconds * 1e3, change.ratio,
                          100 * change.noise, what, change.is_disturbed ? " ~" : "");
  }
  for (const std::string& note : comparison.notes) text += "note: " + one_line(note) + "\n";
  if (any_disturbed) text += "~ most rounds of one of the two were disturbed\n";
  if (comparison.changes.empty()) return text;
  return text + format_string(
                    "ratio: new time by old time. %zu of %zu figures changed beyond the "
                    "noise\n",
                    changed, comparison.changes.size());
}

std::string bench_json(const BenchDocument& document) {
  JsonWriter json;
  json.begin_object().member("schema", "midge.bench").member("version", int64_t{2});
  json.member("midge", version_number()).member("build", version_text());
  json.member("date", document.date);
  json.begin_object("machine").member("cores", document.machine.cores);
  json.member("system", document.machine.system).member("governor", document.machine.governor);
  json.member("memory_bytes", document.machine.memory_bytes).end_object();
  json.begin_array("subjects");
  for (const SubjectReport& subject : document.subjects) write_subject(json, subject);
  json.end_array().begin_array("sustained");
  for (const bench::SustainedReport& report : document.sustained) write_sustained(json, report);
  json.end_array().begin_array("costs");
  for (const bench::CostReport& cost : document.costs) write_cost(json, cost);
  json.end_array().end_object();
  return json.text() + "\n";
}

std::string bench_csv(const BenchDocument& document) {
  std::string text =
      "subject,section,label,at,seconds,tokens_per_second,p95,p99,spread,bytes_per_second,"
      "read_bandwidth_fraction,integer_peak_fraction,disturbed\n";
  for (const SubjectReport& subject : document.subjects) {
    for (const Figure& figure : subject.figures) {
      const double seconds = seconds_of(figure);
      const std::vector<double> samples = figure.samples();
      text += field(subject.name) + "," + figure.section + "," + field(figure.label);
      text += format_string(",%lld,%.9g,%.6g,%.9g,%.9g,%.4f,%.6g,%.4f,%.4f,%d\n",
                            static_cast<long long>(figure.at), seconds, rate_of(figure),
                            quantile(samples, 0.95), quantile(samples, 0.99), spread_of(figure),
                            figure.bytes / seconds, median(figure.of_rounds(&Round::read_fraction)),
                            median(figure.of_rounds(&Round::peak_fraction)),
                            figure.is_disturbed() ? 1 : 0);
    }
  }
  return text;
}

std::string bench_markdown(const BenchDocument& document) {
  std::string text =
      "| model | size | params | backend | threads | test | t/s |\n"
      "| --- | ---: | ---: | --- | ---: | ---: | ---: |\n";
  for (const SubjectReport& subject : document.subjects) {
    for (const Figure& figure : subject.figures) {
      if (figure.tokens <= 0) continue;
      text += format_string("| %s | %.2f GiB | %.2f B | midge %s | %d | %s | %.2f ± %.2f%s |\n",
                            cell(subject.name).c_str(),
                            static_cast<double>(subject.model_bytes) / (1 << 30),
                            static_cast<double>(subject.parameters) * 1e-9, subject.level.c_str(),
                            subject.threads, llama_test(figure).c_str(), rate_of(figure),
                            rate_of(figure) * spread_of(figure), figure.is_disturbed() ? " ~" : "");
    }
  }
  return text;
}

}  // namespace midge
