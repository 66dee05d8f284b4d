// Certificates and policy of TLS: what every session of a listener, or towards peers, shares. TLS 1.2 and 1.3, forward
// secrecy and authenticated encryption only, no compression, no renegotiation.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "codecs/base/result.h"

namespace ifgw::adapters {

struct TlsConfig {
  std::string certificate_file;  // PEM, the chain from the leaf on
  std::string key_file;          // PEM; readable by the service user only
  // PEM, whom we trust; read at once. Empty: the system's store, of which OpenSSL reads an authority's small file from
  // the disk when a handshake first names it.
  std::string ca_file;
  bool require_client_certificate = false;  // as server
  bool verify_server = true;                // as client; false only for a laboratory
};

class TlsContext {
 public:
  enum class Role { Server, Client };
  // Reads the files: at start only. The error names the file, what is wrong with it and what would be right. A server needs certificate and
  // key; a client sends them when they are there.
  static Result<std::shared_ptr<const TlsContext>> create(Role role, const TlsConfig& config);

  SSL_CTX* get() const noexcept { return context_.get(); }
  Role role() const noexcept { return role_; }
  bool verifies_server() const noexcept { return verify_server_; }

 private:
  struct Free {
    void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
  };
  TlsContext(Role role, SSL_CTX* context, bool verify_server) : role_(role), verify_server_(verify_server), context_(context) {}

  Role role_;
  bool verify_server_;
  std::unique_ptr<SSL_CTX, Free> context_;
};

// What OpenSSL's error queue says, emptied; for an Error or a log line.
std::string tls_errors();

}  // namespace ifgw::adapters
