#include "bench/model/op_summary.h"

#include <algorithm>
#include <map>

#include "engine/core/status.h"

namespace midge::bench {

std::string kernel_name(void (*function)()) {
  for (const KernelInfo& kernel : all_kernels()) {
    if (kernel.function == function) return kernel.name;
  }
  return "";
}

namespace {

constexpr double kNano = 1e-9;

template <typename Function>
std::string name_of(Function function) {
  return function == nullptr ? "" : kernel_name(reinterpret_cast<void (*)()>(function));
}

// What belongs to an event's subject: matrices that are multiplied with in one operation.
struct Product {
  std::string name;  // "qkv", "gate_up"; else that of the matrix
  double weights = 0;
  double bytes = 0;
  Encoding encoding = Encoding::kF32;
  bool is_packed = false;
};

/// Knows the matrices of a model by their addresses.
class Products {
 public:
  explicit Products(const PreparedWeights& weights) {
    const PreparedMatrix* first = nullptr;
    visit_linear_matrices(weights, [&](const std::string& name, const PreparedMatrix& w) {
      const std::string last = name.substr(name.rfind('.') + 1);
      // k and v are multiplied with q's rows, up with gate's, in the same operation.
      const bool joins = last == "k" || last == "v" || last == "up";
      if (!joins) {
        first = &w;
        Product& product = products_[first];
        product.name = last == "q" ? "qkv" : last == "gate" ? "gate_up" : last;
        if (is_of_mtp(name)) product.name = "mtp " + product.name;
        product.is_packed = w.form == PreparedMatrix::Form::kTiles;
        product.encoding = product.is_packed ? w.tiles.encoding : w.rows.encoding;
      }
      Product& product = products_[first];
      product.weights += static_cast<double>(w.n()) * static_cast<double>(w.k());
      product.bytes += static_cast<double>(w.bytes());
    });
  }

  const Product* find(const void* matrix) const {
    const auto found = products_.find(matrix);
    return found == products_.end() ? nullptr : &found->second;
  }

 private:
  std::map<const void*, Product> products_;
};

std::string name_of_event(const Event& event, const Products& products) {
  if (event.kind == kBarrierEvent) return "barrier";
  std::string name = op_kind_name(static_cast<OpKind>(event.kind));
  if (const Product* product = products.find(event.subject)) name += " " + product->name;
  return name;
}

std::string joined(const std::string& a, const std::string& b) {
  return a.empty() || b.empty() ? a + b : a + ", " + b;
}

std::string kernels_of(const Event& event, const Products& products, const SummaryInput& input) {
  const KernelTable& table = input.executor->kernels();
  const Product* product = products.find(event.subject);
  switch (static_cast<OpKind>(event.kind)) {
    case OpKind::kLinear: {
      if (product == nullptr) return "";
      const auto encoding = static_cast<size_t>(product->encoding);
      if (!product->is_packed) return name_of(table.gemm[encoding]);
      if (input.is_prompt && product->name != "head") {
        return joined(name_of(table.gemm_panel), name_of(table.unpack[encoding]));
      }
      const auto rows = static_cast<size_t>(std::clamp<int64_t>(event.rows, 1, kGemvRowsMax));
      return name_of(table.gemv[encoding][rows]);
    }
    case OpKind::kQuantize:
      if (product == nullptr || !product->is_packed) return "";
      return input.is_prompt && product->name != "head" ? name_of(table.quantize_panel)
                                                        : name_of(table.quantize);
    case OpKind::kAttention:
      if (input.kv_type == KvType::kInt8) return name_of(table.attn_q8);
      if (input.kv_type == KvType::kK8V4) return name_of(table.attn_k8v4);
      return name_of(table.attn[static_cast<size_t>(kv_elements(input.kv_type))]);
    case OpKind::kNorm: return name_of(table.rmsnorm);
    case OpKind::kRope: return event.layer >= 0 ? name_of(table.rope) : "";
    case OpKind::kElementwise: return name_of(table.add);
    case OpKind::kEmbed: return "";
  }
  return "";
}

/// Where the rows of a pass stand in their sequence, layer by layer.
class Positions {
 public:
  explicit Positions(const SummaryInput& input) : input_(input) {}

  // Tokens whose keys and values an event of attention reads; the next one follows it.
  int64_t tokens_read(const Event& event) {
    int64_t& done = done_[event.layer];
    const int64_t end = input_.first_position + done + event.rows;
    done += event.rows;
    if (done >= input_.step_rows) done = 0;
    return input_.window > 0 ? std::min(end, input_.window + event.rows - 1) : end;
  }

 private:
  const SummaryInput& input_;
  std::map<int32_t, int64_t> done_;  // rows of the step so far, by layer
};

void add_call(const Event& event, const Products& products, const SummaryInput& input,
              Positions& positions, OpLine* line) {
  if (line->calls == 0) line->kernels = kernels_of(event, products, input);
  ++line->calls;
  line->seconds += static_cast<double>(event.end - event.start) * kNano;
  const auto rows = static_cast<double>(event.rows);
  if (static_cast<OpKind>(event.kind) == OpKind::kLinear) {
    const Product* product = products.find(event.subject);
    if (product == nullptr) return;
    line->bytes += product->bytes;
    line->macs += product->weights * rows;
  } else if (static_cast<OpKind>(event.kind) == OpKind::kAttention) {
    line->bytes += static_cast<double>(positions.tokens_read(event)) * input.kv_token_bytes;
  }
}

// Barriers are logged before the operation that they are part of, which ends after them.
std::vector<double> waits_within(const std::vector<Event>& events) {
  std::vector<double> waits(events.size(), 0);
  for (size_t i = 0; i < events.size(); ++i) {
    if (events[i].kind == kBarrierEvent) continue;
    for (size_t k = i; k-- > 0 && events[k].start >= events[i].start;) {
      if (events[k].kind != kBarrierEvent) continue;
      waits[i] += static_cast<double>(events[k].end - events[k].start) * kNano;
      waits[k] = 1;  // is part of an operation
    }
  }
  return waits;
}

}  // namespace

double OpLine::imbalance() const {
  double sum = 0;
  double most = 0;
  double workers = 0;  // that take part: passes of a class may leave some out
  for (size_t i = 0; i < busy.size(); ++i) {
    sum += busy[i];
    most = std::max(most, busy[i]);
    workers += busy[i] > 0 || waits[i] > 0;
  }
  return sum > 0 ? most * workers / sum : 1;
}

double OpSummary::accounted() const {
  double sum = outside;
  for (const OpLine& line : lines) sum += line.seconds;
  return wall > 0 ? sum / wall : 0;
}

OpSummary summarize_ops(const SummaryInput& input) {
  const Products products(*input.executor->engine().weights);
  const std::vector<EventLog>& logs = input.profile->logs();
  std::map<std::string, OpLine> lines;
  Positions positions(input);
  OpSummary summary;
  summary.wall = input.wall;
  for (size_t worker = 0; worker < logs.size(); ++worker) {
    const std::vector<Event>& events = logs[worker].events();
    const std::vector<double> waits = waits_within(events);
    summary.dropped += logs[worker].dropped();
    for (size_t i = 0; i < events.size(); ++i) {
      const Event& event = events[i];
      const double seconds = static_cast<double>(event.end - event.start) * kNano;
      if (event.kind == kBarrierEvent) {
        if (worker == 0 && waits[i] == 0) summary.outside += seconds;
        continue;
      }
      OpLine& line = lines[name_of_event(event, products)];
      line.busy.resize(logs.size());
      line.waits.resize(logs.size());
      line.busy[worker] += seconds - waits[i];
      line.waits[worker] += waits[i];
      if (worker == 0) add_call(event, products, input, positions, &line);
    }
  }
  for (auto& [name, line] : lines) {
    line.name = name;
    summary.lines.push_back(std::move(line));
  }
  std::sort(summary.lines.begin(), summary.lines.end(),
            [](const OpLine& a, const OpLine& b) { return a.seconds > b.seconds; });
  return summary;
}

std::string trace_json(const SummaryInput& input) {
  const Products products(*input.executor->engine().weights);
  const std::vector<EventLog>& logs = input.profile->logs();
  int64_t first = INT64_MAX;
  for (const EventLog& log : logs) {
    for (const Event& event : log.events()) first = std::min(first, event.start);
  }
  std::string text =
      "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n"
      "{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":1,\"tid\":0,\"args\":{\"name\":\"midge\"}}";
  for (size_t worker = 0; worker < logs.size(); ++worker) {
    text += format_string(
        ",\n{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":1,\"tid\":%zu,\"args\":{\"name\":"
        "\"worker %zu\"}}",
        worker, worker);
    for (const Event& event : logs[worker].events()) {
      // Microseconds, with what a nanosecond is of one.
      text += format_string(
          ",\n{\"name\":\"%s\",\"ph\":\"X\",\"pid\":1,\"tid\":%zu,\"ts\":%.3f,\"dur\":%.3f,"
          "\"args\":{\"layer\":%d,\"rows\":%lld}}",
          name_of_event(event, products).c_str(), worker,
          static_cast<double>(event.start - first) * 1e-3,
          static_cast<double>(event.end - event.start) * 1e-3, event.layer,
          static_cast<long long>(event.rows));
    }
  }
  return text + "\n]}\n";
}

}  // namespace midge::bench
