#include "server/service.h"

#include <charconv>
#include <chrono>
#include <ctime>
#include <map>
#include <random>
#include <thread>
#include <utility>

#include "engine/formats/json_writer.h"
#include "server/answer.h"
#include "server/generation.h"
#include "server/metrics.h"
#include "server/named_model.h"
#include "server/openai/request.h"
#include "server/page/page.h"

namespace midge {
namespace {

constexpr const char* kJson = "application/json";

Refusal refusal(int status, std::string message, std::string code) {
  Refusal made;
  made.status = status;
  made.message = std::move(message);
  made.code = std::move(code);
  return made;
}

std::string refusal_body(int status, const std::string& message) {
  return refusal(status, message, "bad_request").body();
}

// "application/json", whatever its parameters are. A page of another origin can send bodies of a
// few other types without asking first, so that these must not be read.
bool is_json_type(std::string_view type) {
  type = type.substr(0, type.find(';'));
  while (type.ends_with(' ')) type.remove_suffix(1);
  return same_word(type, kJson);
}

class ServiceImpl : public Service {
 public:
  ServiceImpl(midge_engine* engine, std::vector<ServedName> models, ServiceOptions options)
      : engine_(engine),
        options_(std::move(options)),
        served_(std::move(models)),
        random_(std::random_device{}()) {
    uint32_t index = 0;
    for (const ServedName& served : served_) {
      models_.push_back(std::make_unique<NamedModel>(served.name, served.model, index++));
    }
  }

  Status open() {
    const std::string& host = options_.http.host;
    if (!is_ip_address(host)) {
      return make_status(StatusCode::kInvalidArgument,
                         "the host is '%s', expected an IP address, as 127.0.0.1 or ::1",
                         printable(host).c_str());
    }
    const bool is_loopback = is_loopback_address(host);
    options_.access.is_loopback = is_loopback;
    if (!is_loopback && options_.access.key.empty()) {
      return make_status(StatusCode::kInvalidArgument,
                         "%s can be reached by others: that needs a key (--key-file)",
                         host.c_str());
    }
    if (!options_.access.cors_origin.empty()) {
      options_.http.fields = {{"Access-Control-Allow-Origin", options_.access.cors_origin},
                              {"Vary", "Origin"}};
    }
    MIDGE_ASSIGN_OR_RETURN(http_,
                           HttpServer::listen(
                               options_.http,
                               [this](HttpRequest request, std::shared_ptr<HttpExchange> exchange) {
                                 handle(std::move(request), std::move(exchange));
                               },
                               refusal_body));
    generations_ = std::make_unique<Generations>(
        engine_, [this] { http_->post([this] { generations_->deliver(); }); });
    context_.http = http_.get();
    context_.generations = generations_.get();
    context_.ping_seconds = options_.ping_seconds;
    context_.deadline_seconds = options_.deadline_seconds;
    context_.requests_max = options_.requests_max;
    context_.running_max = options_.running_max;
    if (!options_.chat_template.empty()) {
      context_.chat_template = options_.chat_template.c_str();
    }
    context_.unsent_bytes_max = options_.http.limits.unsent_bytes;
    context_.draw_seed = [this] { return random_(); };
    if (options_.logs_content) {
      context_.on_content = [this](std::string_view json) { log("answer " + std::string(json)); };
    }
    return Status();
  }

  uint16_t port() const override { return http_->port(); }

  void run() override {
    if (options_.handles_signals) {
      http_->on_signal([this] { stop_now(); });
    }
    http_->run();
    // Answers to clients that have gone may still be ending.
    generations_->cancel_all();
    while (generations_->count() > 0) {
      generations_->deliver();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  void stop() override {
    http_->post([this] { stop_now(); });
  }

 private:
  using Exchange = std::shared_ptr<HttpExchange>;
  using Route = void (ServiceImpl::*)(const HttpRequest&, const Exchange&);
  struct Entry {
    const char* method;
    const char* path;
    bool is_public;
    Route route;
  };

  // The second time nothing is waited for.
  void stop_now() {
    if (std::exchange(is_stopping_, true)) {
      generations_->cancel_all();
      http_->abort();
      return;
    }
    log(format_string("stopping: %zu requests in the engine", generations_->count()));
    http_->stop();
    // The cancelled answers tell their clients so; who does not read it is cut off.
    http_->after(options_.stop_seconds, [this] {
      generations_->cancel_all();
      http_->after(1, [this] { http_->abort(); });
    });
  }

  void log(const std::string& line) const {
    if (options_.log) options_.log(line);
  }

  static const std::vector<Entry>& entries();

  void handle(HttpRequest request, Exchange exchange) {
    const Entry* found = nullptr;
    const char* allowed = nullptr;
    // HEAD asks for the head of what GET gives.
    const bool is_get = request.method == "GET" || request.method == "HEAD";
    for (const Entry& entry : entries()) {
      if (request.path != entry.path) continue;
      allowed = entry.method;
      if ((is_get ? "GET" : request.method) == entry.method) found = &entry;
    }
    // Browsers ask by OPTIONS, without a key, what a page of another origin may send.
    const bool is_preflight = !options_.access.cors_origin.empty() && request.method == "OPTIONS";
    const bool is_public = is_preflight || (found != nullptr && found->is_public);
    if (const auto denied = check_access(options_.access, request, is_public)) {
      return answer(request, *exchange, *denied);
    }
    if (is_preflight) return allow_origin(request, *exchange);
    constexpr std::string_view kModels = "/v1/models/";
    if (found == nullptr && is_get && request.path.starts_with(kModels)) {
      return model_by_name(request, *exchange,
                           percent_decoded(std::string_view(request.path).substr(kModels.size())));
    }
    if (allowed == nullptr) {
      return answer(
          request, *exchange,
          refusal(404, "nothing is at '" + request.path.substr(0, 200) + "'", "not_found"));
    }
    if (found == nullptr) {
      return answer(request, *exchange,
                    refusal(405, std::string("expected ") + allowed, "method_not_allowed"),
                    {{"Allow", allowed == std::string_view("GET") ? "GET, HEAD" : allowed}});
    }
    const bool has_body = request.method == "POST";
    if (has_body && !is_json_type(request.content_type)) {
      return answer(request, *exchange,
                    refusal(415, "the Content-Type is not application/json", "wrong_type"));
    }
    if (options_.logs_content && has_body) log("request " + request.path + " " + request.body);
    (this->*found->route)(request, exchange);
  }

  // Answers that are not an Answer's.
  void answer(const HttpRequest& request, HttpExchange& exchange, const Refusal& refused,
              HttpFields fields = {}) {
    count(request.path, refused.status);
    AnswerSums sums;
    sums.code = refused.code.empty() ? refused.param : refused.code;
    log_answer(request, refused.status, sums);
    if (refused.status == 401) fields.emplace_back("WWW-Authenticate", "Bearer");
    exchange.respond(refused.status, kJson, refused.body(), std::move(fields));
  }
  void answer(const HttpRequest& request, HttpExchange& exchange, std::string body,
              const char* type = kJson, HttpFields fields = {}) {
    count(request.path, 200);
    exchange.respond(200, type, std::move(body), std::move(fields));
  }
  void allow_origin(const HttpRequest& request, HttpExchange& exchange) {
    answer(request, exchange, std::string(), "text/plain",
           {{"Access-Control-Allow-Methods", "GET, POST"},
            {"Access-Control-Allow-Headers", "Authorization, Content-Type"},
            {"Access-Control-Max-Age", "600"}});
  }

  // Paths that are not known are one: a client must not be able to fill the table.
  void count(const std::string& path, int status) {
    bool is_known = false;
    for (const Entry& entry : entries()) is_known = is_known || path == entry.path;
    ++counts_[{is_known ? path : "other", status}];
  }

  void log_answer(const HttpRequest& request, int status, const AnswerSums& sums,
                  double seconds = 0) const {
    if (!options_.log) return;
    std::string line = request.peer + " " + request.method + " " + request.path.substr(0, 200) +
                       format_string(" %d", status);
    if (!sums.code.empty()) line += " " + sums.code;
    if (sums.prompt_tokens > 0) {
      line += format_string(" prompt %lld (%lld cached) answer %lld tokens, %.3f s",
                            static_cast<long long>(sums.prompt_tokens),
                            static_cast<long long>(sums.cached_tokens),
                            static_cast<long long>(sums.answer_tokens), seconds);
    }
    log(line);
  }

  // What an answer is given: this service's context, and who is told of its end.
  AnswerContext context_for(const HttpRequest& request) {
    HttpRequest asked;  // without its body
    asked.method = request.method;
    asked.path = request.path;
    asked.peer = request.peer;
    AnswerContext context = context_;
    context.on_end = [this, asked = std::move(asked), begin = std::chrono::steady_clock::now()](
                         int status, const AnswerSums& sums) {
      const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
      count(asked.path, status);
      log_answer(asked, status, sums, taken.count());
    };
    return context;
  }

  // Of a URL: "%2F" is '/'. Anything that is no such escape stays.
  static std::string percent_decoded(std::string_view text) {
    std::string decoded;
    for (size_t i = 0; i < text.size(); ++i) {
      uint8_t byte = 0;
      const char* const digits = text.data() + i + 1;
      const bool is_escape = text[i] == '%' && text.size() - i > 2 &&
                             std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2;
      decoded += is_escape ? static_cast<char>(byte) : text[i];
      if (is_escape) i += 2;
    }
    return decoded;
  }

  NamedModel* find_model(const std::string& name) {
    if (name.empty()) return models_.front().get();
    for (const auto& model : models_) {
      if (model->name() == name) return model.get();
    }
    return nullptr;
  }
  Refusal no_model(const std::string& name) const {
    Refusal made = refusal(404, "no model '" + name.substr(0, 80) + "'; GET /v1/models lists them",
                           "model_not_found");
    made.param = "model";
    return made;
  }

  // ------------------------------------------------------------------------------------ routes --

  void page(const HttpRequest& request, const Exchange& exchange) {
    const std::string nonce =
        format_string("%016llx%016llx", static_cast<unsigned long long>(secret_random()),
                      static_cast<unsigned long long>(secret_random()));
    std::string html(chat_page());
    constexpr std::string_view kPlace = "@NONCE@";
    for (size_t at = html.find(kPlace); at != std::string::npos; at = html.find(kPlace, at)) {
      html.replace(at, kPlace.size(), nonce);
    }
    answer(request, *exchange, std::move(html), "text/html; charset=utf-8",
           {{"Content-Security-Policy",
             "default-src 'none'; style-src 'nonce-" + nonce + "'; script-src 'nonce-" + nonce +
                 "'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action "
                 "'none'; frame-ancestors 'none'"},
            {"Referrer-Policy", "no-referrer"}});
  }
  static uint64_t secret_random() {
    std::random_device device;
    return uint64_t{device()} << 32 | device();
  }

  void health(const HttpRequest& request, const Exchange& exchange) {
    if (is_stopping_) {
      return answer(request, *exchange, refusal(503, "the server stops", "stopping"));
    }
    answer(request, *exchange, "{\"status\":\"ok\"}");
  }

  void metrics(const HttpRequest& request, const Exchange& exchange) {
    std::vector<ModelMetrics> all;
    for (const auto& model : models_) all.push_back({model->name(), stats_of(*model)});
    answer(request, *exchange,
           metrics_text(counts_, http_->counts(), static_cast<int64_t>(generations_->count()), all),
           "text/plain; version=0.0.4; charset=utf-8");
  }

  midge_engine_stats stats_of(const NamedModel& model) const {
    midge_engine_stats stats = {};
    stats.size = sizeof(stats);
    midge_engine_stats_get(engine_, model.index(), &stats);
    return stats;
  }

  void write_model(JsonWriter& json, const NamedModel& model) const {
    const midge_engine_stats stats = stats_of(model);
    json.begin_object().member("id", model.name()).member("object", "model");
    json.member("created", started_).member("owned_by", "midge");
    json.member("max_model_len", served_[model.index()].context_length);
    json.begin_object("midge");
    json.member("context_length", served_[model.index()].context_length);
    json.member("memory_bytes", stats.memory).member("pages", stats.pages);
    json.member("pages_free", stats.pages_free).member("has_chat", model.info().has_chat != 0);
    json.end_object().end_object();
  }

  void list_models(const HttpRequest& request, const Exchange& exchange) {
    JsonWriter json;
    json.begin_object().member("object", "list").begin_array("data");
    for (const auto& model : models_) write_model(json, *model);
    json.end_array().end_object();
    answer(request, *exchange, json.text());
  }

  void model_by_name(const HttpRequest& request, HttpExchange& exchange, const std::string& name) {
    const NamedModel* model = find_model(name);
    if (name.empty() || model == nullptr) return answer(request, exchange, no_model(name));
    JsonWriter json;
    write_model(json, *model);
    answer(request, exchange, json.text());
  }

  void tokenizer_info(const HttpRequest& request, const Exchange& exchange) {
    constexpr std::string_view kModel = "model=";
    const bool is_named = request.query.starts_with(kModel);
    const std::string name =
        is_named ? percent_decoded(std::string_view(request.query).substr(kModel.size()))
                 : std::string();
    if (!is_named && !request.query.empty()) {
      return answer(request, *exchange, refusal(400, "expected ?model=NAME", "wrong_query"));
    }
    const NamedModel* found = find_model(name);
    if (found == nullptr) return answer(request, *exchange, no_model(name));
    const NamedModel& model = *found;
    const midge_model_info& info = model.info();
    JsonWriter json;
    json.begin_object().member("model", model.name()).member("vocab_size", info.vocab_size);
    const auto token = [&](const char* key, int32_t id) {
      id < 0 ? json.member_json(key, "null") : json.member(key, model.token_bytes(id));
    };
    token("bos_token", info.bos_id);
    token("eos_token", info.stop_id_count > 0 ? info.stop_ids[0] : -1);
    token("pad_token", info.stop_id_count > 0 ? info.stop_ids[0] : -1);
    json.begin_array("eos_token_ids");
    for (size_t i = 0; i < info.stop_id_count; ++i) json.element(int64_t{info.stop_ids[i]});
    json.end_array().member("max_model_len", served_[model.index()].context_length);
    if (info.chat_template == nullptr)
      json.member_json("chat_template", "null");
    else
      json.member("chat_template", info.chat_template);
    json.end_object();
    answer(request, *exchange, json.text());
  }

  void tokenize(const HttpRequest& request, const Exchange& exchange) {
    TokenizeRequest asked;
    Refusal refused;
    if (!read_tokenize_request(request.body, &asked, &refused)) {
      return answer(request, *exchange, refused);
    }
    const NamedModel* model = find_model(asked.model);
    if (model == nullptr) return answer(request, *exchange, no_model(asked.model));
    const uint32_t flags = (asked.add_special_tokens ? uint32_t{MIDGE_ADD_BOS} : 0) |
                           (asked.parse_special ? uint32_t{MIDGE_SPECIAL_PARSED} : 0);
    const Result<std::vector<int32_t>> tokens = model->tokenize(asked.text, flags);
    if (!tokens.ok()) {
      return answer(request, *exchange, refusal(400, tokens.status().message(), "not_tokenized"));
    }
    JsonWriter json;
    json.begin_object().begin_array("tokens");
    for (const int32_t token : *tokens) json.element(int64_t{token});
    json.end_array().member("count", static_cast<int64_t>(tokens->size()));
    json.member("max_model_len", served_[model->index()].context_length).end_object();
    answer(request, *exchange, json.text());
  }

  void detokenize(const HttpRequest& request, const Exchange& exchange) {
    DetokenizeRequest asked;
    Refusal refused;
    if (!read_detokenize_request(request.body, &asked, &refused)) {
      return answer(request, *exchange, refused);
    }
    const NamedModel* model = find_model(asked.model);
    if (model == nullptr) return answer(request, *exchange, no_model(asked.model));
    const Result<std::string> text = model->detokenize(asked.tokens, true);
    if (!text.ok()) {
      Refusal wrong = refusal(400, text.status().message(), "no_token");
      wrong.param = "tokens";
      return answer(request, *exchange, wrong);
    }
    JsonWriter json;
    json.begin_object().member("prompt", *text).member("content", *text).end_object();
    answer(request, *exchange, json.text());
  }

  void chat_completions(const HttpRequest& request, const Exchange& exchange) {
    ChatRequest asked;
    Refusal refused;
    if (!read_chat_request(request.body, &asked, &refused)) {
      return answer(request, *exchange, refused);
    }
    NamedModel* model = find_model(asked.model);
    if (model == nullptr) return answer(request, *exchange, no_model(asked.model));
    answer_chat(context_for(request), *model, std::move(asked), exchange);
  }

  void completions(const HttpRequest& request, const Exchange& exchange) {
    CompletionRequest asked;
    Refusal refused;
    if (!read_completion_request(request.body, &asked, &refused)) {
      return answer(request, *exchange, refused);
    }
    NamedModel* model = find_model(asked.model);
    if (model == nullptr) return answer(request, *exchange, no_model(asked.model));
    answer_completion(context_for(request), *model, std::move(asked), exchange);
  }

  midge_engine* engine_;
  ServiceOptions options_;
  std::vector<ServedName> served_;
  std::vector<std::unique_ptr<NamedModel>> models_;
  std::mt19937_64 random_;  // seeds and ids: nothing secret
  int64_t started_ = static_cast<int64_t>(std::time(nullptr));
  bool is_stopping_ = false;
  AnswerCounts counts_;
  AnswerContext context_;
  std::unique_ptr<HttpServer> http_;
  std::unique_ptr<Generations> generations_;
};

const std::vector<ServiceImpl::Entry>& ServiceImpl::entries() {
  static const std::vector<Entry> entries = {
      {"GET", "/", true, &ServiceImpl::page},
      {"GET", "/health", true, &ServiceImpl::health},
      {"GET", "/metrics", false, &ServiceImpl::metrics},
      {"GET", "/v1/models", false, &ServiceImpl::list_models},
      {"GET", "/tokenizer_info", false, &ServiceImpl::tokenizer_info},
      {"POST", "/tokenize", false, &ServiceImpl::tokenize},
      {"POST", "/detokenize", false, &ServiceImpl::detokenize},
      {"POST", "/v1/chat/completions", false, &ServiceImpl::chat_completions},
      {"POST", "/v1/completions", false, &ServiceImpl::completions},
  };
  return entries;
}

}  // namespace

Result<std::unique_ptr<Service>> Service::create(midge_engine* engine,
                                                 std::vector<ServedName> models,
                                                 ServiceOptions options) {
  auto service = std::make_unique<ServiceImpl>(engine, std::move(models), std::move(options));
  MIDGE_RETURN_IF_ERROR(service->open());
  return std::unique_ptr<Service>(std::move(service));
}

}  // namespace midge
