#include "controlplane/adapters/tls_session.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "codecs/base/ip.h"

namespace ifgw::adapters {

std::unique_ptr<TlsSession> TlsSession::create(std::shared_ptr<const TlsContext> context, const std::string& peer_name) {
  std::unique_ptr<TlsSession> session(new TlsSession(std::move(context)));
  session->ssl_.reset(SSL_new(session->context_->get()));
  session->in_ = BIO_new(BIO_s_mem());
  session->out_ = BIO_new(BIO_s_mem());
  SSL* ssl = session->ssl_.get();
  if (ssl == nullptr || session->in_ == nullptr || session->out_ == nullptr) {
    BIO_free(session->in_);
    BIO_free(session->out_);
    return nullptr;
  }
  SSL_set_bio(ssl, session->in_, session->out_);
  if (session->context_->role() == TlsContext::Role::Server) {
    SSL_set_accept_state(ssl);
    return session;
  }
  SSL_set_connect_state(ssl);
  session->peer_name_ = peer_name;
  if (peer_name.empty()) return session;
  if (IpAddress::parse(peer_name)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), peer_name.c_str());
  } else {
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    SSL_set1_host(ssl, peer_name.c_str());
    SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, const_cast<char*>(peer_name.c_str()));  // server name indication
  }
  return session;
}

std::string TlsSession::cipher() const {
  const SSL_CIPHER* cipher = SSL_get_current_cipher(ssl_.get());
  const char* name = cipher == nullptr ? nullptr : SSL_CIPHER_standard_name(cipher);
  return name == nullptr ? std::string{} : std::string(name);
}

void TlsSession::fail() {
  state_ = State::Failed;
  const long verify = SSL_get_verify_result(ssl_.get());
  error_ = tls_errors();
  if (verify == X509_V_OK) return;
  error_ += std::string("; certificate: ") + X509_verify_cert_error_string(verify);
  if (!peer_name_.empty()) error_ += "; it has to name " + peer_name_ + " and to be signed by an authority of sip.tls_ca";
}

void TlsSession::handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result == 1) {
    state_ = State::Open;
    return;
  }
  const int error = SSL_get_error(ssl_.get(), result);
  if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) fail();
}

TlsSession::State TlsSession::feed(Bytes ciphertext, std::string& plaintext) {
  if (state_ == State::Failed || state_ == State::Closed) return state_;
  if (!ciphertext.empty()) BIO_write(in_, ciphertext.data(), static_cast<int>(ciphertext.size()));
  if (state_ == State::Handshaking) handshake();
  char buffer[4096];
  while (state_ == State::Open) {
    ERR_clear_error();
    const int got = SSL_read(ssl_.get(), buffer, sizeof buffer);
    if (got > 0) {
      plaintext.append(buffer, static_cast<std::size_t>(got));
      continue;
    }
    const int error = SSL_get_error(ssl_.get(), got);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) break;
    if (error == SSL_ERROR_ZERO_RETURN) {
      state_ = State::Closed;
    } else {
      fail();
    }
  }
  return state_;
}

bool TlsSession::write(Bytes plaintext) {
  if (state_ != State::Open) return false;
  if (plaintext.empty()) return true;
  ERR_clear_error();
  // A memory BIO takes everything, so one call writes it all.
  if (SSL_write(ssl_.get(), plaintext.data(), static_cast<int>(plaintext.size())) > 0) return true;
  fail();
  return false;
}

void TlsSession::close() {
  if (state_ == State::Open) SSL_shutdown(ssl_.get());
  if (state_ != State::Failed) state_ = State::Closed;
}

void TlsSession::take_output(std::string& to) {
  char buffer[4096];
  while (BIO_ctrl_pending(out_) > 0) {
    const int got = BIO_read(out_, buffer, sizeof buffer);
    if (got <= 0) return;
    to.append(buffer, static_cast<std::size_t>(got));
  }
}

}  // namespace ifgw::adapters
