// One TLS session without a socket: ciphertext in, plaintext out, and the other way round. The connection that owns it
// moves the bytes. Holds what has not been taken yet and nothing else.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "codecs/base/bytes.h"
#include "controlplane/adapters/tls_context.h"

namespace ifgw::adapters {

class TlsSession {
 public:
  enum class State { Handshaking, Open, Closed, Failed };

  // `peer_name`: as client, the host name or IP address the server's certificate must be for; empty: only the chain
  // is checked. Null when OpenSSL has no memory for it.
  static std::unique_ptr<TlsSession> create(std::shared_ptr<const TlsContext> context, const std::string& peer_name);
  ~TlsSession() = default;

  State state() const noexcept { return state_; }
  // As client the first call to this, with nothing, produces the hello. Appends what was decrypted to `plaintext`.
  State feed(Bytes ciphertext, std::string& plaintext);
  // Encrypts. Only while Open; false when that failed (the state is Failed then).
  bool write(Bytes plaintext);
  // Says good-bye to the peer (close_notify); feed() and write() do nothing afterwards.
  void close();
  // Appends ciphertext that waits to be sent.
  void take_output(std::string& to);

  std::string version() const { return SSL_get_version(ssl_.get()); }  // "TLSv1.3"
  std::string cipher() const;                                          // IANA name
  // Why the state is Failed.
  const std::string& error() const noexcept { return error_; }

 private:
  struct Free {
    void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
  };
  explicit TlsSession(std::shared_ptr<const TlsContext> context) : context_(std::move(context)) {}
  void handshake();
  void fail();

  std::shared_ptr<const TlsContext> context_;
  std::unique_ptr<SSL, Free> ssl_;
  BIO* in_ = nullptr;   // owned by ssl_
  BIO* out_ = nullptr;  // owned by ssl_
  State state_ = State::Handshaking;
  std::string peer_name_;
  std::string error_;
};

}  // namespace ifgw::adapters
