#include "server/access.h"

#include <arpa/inet.h>

#include <algorithm>

namespace midge {
namespace {

Refusal forbidden(std::string message, std::string code) {
  Refusal refusal;
  refusal.status = 403;
  refusal.type = "permission_error";
  refusal.code = std::move(code);
  refusal.message = std::move(message);
  return refusal;
}

// "host" of "host:port" and of "[::1]:port".
std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) {
    const size_t end = host.find(']');
    return end == std::string_view::npos ? host : host.substr(1, end - 1);
  }
  return host.substr(0, host.find(':'));
}

bool is_ipv4(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789.") == std::string_view::npos &&
         std::count(text.begin(), text.end(), '.') == 3;
}

bool is_address(std::string_view text) {
  return is_ipv4(text) || text.find(':') != std::string_view::npos;  // a name has no colon
}

// A page elsewhere can let its own name point here: then the name gives it away. Addresses cannot
// be made to point anywhere else.
bool is_own_host(const AccessOptions& options, std::string_view host) {
  const std::string_view name = without_port(host);
  if (same_word(name, "localhost") || is_loopback_address(name)) return true;
  if (!options.is_loopback && is_address(name)) return true;
  return std::any_of(options.names.begin(), options.names.end(),
                     [&](const std::string& own) { return same_word(own, name); });
}

bool is_own_origin(const AccessOptions& options, const HttpRequest& request) {
  if (request.origin.empty()) return true;  // no page
  if (!options.cors_origin.empty() && request.origin == options.cors_origin) return true;
  const size_t scheme = request.origin.find("://");
  return scheme != std::string::npos &&
         same_word(std::string_view(request.origin).substr(scheme + 3), request.host);
}

bool has_key(const AccessOptions& options, std::string_view authorization) {
  constexpr std::string_view kBearer = "bearer ";
  if (!same_word(authorization.substr(0, kBearer.size()), kBearer)) return false;
  return equal_in_constant_time(authorization.substr(kBearer.size()), options.key);
}

}  // namespace

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  volatile unsigned char difference = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference = static_cast<unsigned char>(difference | (a[i] ^ b[i]));
  }
  return difference == 0;
}

bool is_ip_address(const std::string& text) {
  in6_addr address = {};
  return inet_pton(AF_INET, text.c_str(), &address) == 1 ||
         inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

bool is_loopback_address(std::string_view address) {
  return address == "::1" || (is_ipv4(address) && address.starts_with("127."));
}

std::optional<Refusal> check_access(const AccessOptions& options, const HttpRequest& request,
                                    bool is_public) {
  if (!is_own_host(options, request.host)) {
    return forbidden(
        "the Host '" + request.host.substr(0, 80) + "' is not a name of this server (--name)",
        "wrong_host");
  }
  if (!is_own_origin(options, request)) {
    return forbidden("pages of '" + request.origin.substr(0, 80) + "' may not ask (--cors)",
                     "wrong_origin");
  }
  if (is_public || options.key.empty() || has_key(options, request.authorization)) {
    return std::nullopt;
  }
  Refusal refusal;
  refusal.status = 401;
  refusal.type = "authentication_error";
  refusal.code = "invalid_api_key";
  refusal.message = "the key is missing or wrong: send 'Authorization: Bearer KEY'";
  return refusal;
}

}  // namespace midge
