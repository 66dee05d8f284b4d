#include "controlplane/adapters/tls_context.h"

#include <openssl/err.h>

namespace ifgw::adapters {
namespace {

// TLS 1.2: ephemeral keys and AEAD only. TLS 1.3 has nothing else.
constexpr const char* kCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20";
constexpr const char* kGroups = "X25519:P-256:P-384";

Status load_identity(SSL_CTX* context, const TlsConfig& config) {
  if (SSL_CTX_use_certificate_chain_file(context, config.certificate_file.c_str()) != 1) {
    return Error{"tls_certificate \"" + config.certificate_file + "\" cannot be loaded (" + tls_errors() +
                 "): give a readable PEM file with the certificate first and its chain after it"};
  }
  if (SSL_CTX_use_PrivateKey_file(context, config.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    return Error{"tls_key \"" + config.key_file + "\" cannot be loaded (" + tls_errors() +
                 "): give a PEM file without a pass phrase that the service user can read"};
  }
  if (SSL_CTX_check_private_key(context) != 1) {
    return Error{"tls_key \"" + config.key_file + "\" does not belong to tls_certificate \"" + config.certificate_file + "\""};
  }
  return Success{};
}

Status load_trust(SSL_CTX* context, const TlsConfig& config) {
  if (config.ca_file.empty()) {
    if (SSL_CTX_set_default_verify_paths(context) != 1)
      return Error{"the system's certificate store cannot be loaded (" + tls_errors() + ")"};
    return Success{};
  }
  if (SSL_CTX_load_verify_locations(context, config.ca_file.c_str(), nullptr) != 1) {
    return Error{"tls_ca \"" + config.ca_file + "\" cannot be loaded (" + tls_errors() + "): give a readable PEM file"};
  }
  return Success{};
}

}  // namespace

std::string tls_errors() {
  std::string out;
  char text[256];
  while (const unsigned long code = ERR_get_error()) {
    ERR_error_string_n(code, text, sizeof text);
    if (!out.empty()) out += "; ";
    out += text;
  }
  return out.empty() ? "no detail" : out;
}

Result<std::shared_ptr<const TlsContext>> TlsContext::create(Role role, const TlsConfig& config) {
  const bool server = role == Role::Server;
  SSL_CTX* raw = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
  if (raw == nullptr) return Error{"OpenSSL gives no TLS context (" + tls_errors() + ")"};
  std::shared_ptr<const TlsContext> context(new TlsContext(role, raw, config.verify_server));

  SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
  SSL_CTX_set_options(raw, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_TICKET);
  SSL_CTX_set_mode(raw, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  if (SSL_CTX_set_cipher_list(raw, kCiphers) != 1 || SSL_CTX_set1_groups_list(raw, kGroups) != 1)
    return Error{"this OpenSSL lacks the required ciphers or groups (" + tls_errors() + ")"};

  if (server || !config.certificate_file.empty()) {
    const Status identity = load_identity(raw, config);
    if (!identity) return identity.error();
  }
  if (server ? config.require_client_certificate : config.verify_server) {
    const Status trust = load_trust(raw, config);
    if (!trust) return trust.error();
    SSL_CTX_set_verify(raw, server ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT : SSL_VERIFY_PEER, nullptr);
  }
  return context;
}

}  // namespace ifgw::adapters
