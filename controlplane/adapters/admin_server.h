// The admin socket: a Unix stream socket whose clients the kernel names (SO_PEERCRED). Lines in, lines out.
//
// Bounded: clients, bytes per request line, bytes waiting for a client that does not read (then it is cut off).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "codecs/base/result.h"
#include "controlplane/adapters/acceptor.h"
#include "controlplane/adapters/event_loop.h"
#include "controlplane/admin/admin.h"

namespace ifgw::adapters {

inline constexpr std::size_t kMaxAdminClients = 32;

struct AdminServerConfig {
  std::string path;
  unsigned mode = 0660;
  std::vector<std::int64_t> uids;  // beside root and our own
  std::size_t max_clients = kMaxAdminClients;
  std::size_t max_unsent_bytes = 64 * 1024 * 1024;
};

class AdminServer {
 public:
  // Replaces a dead socket file; refuses a live one (another control plane). `admin` outlives this.
  static Result<std::unique_ptr<AdminServer>> open(EventLoop& loop, AdminServerConfig config, admin::Admin& admin);
  ~AdminServer();
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;

  std::size_t clients() const noexcept { return clients_.size(); }
  // Of responses, that the client has not taken yet; 0: it is gone.
  std::size_t unsent_bytes(std::uint64_t client) const;
  std::uint64_t refused() const noexcept { return refused_; }  // by uid or by number
  std::uint64_t accept_failures() const noexcept { return acceptor_->failures(); }

 private:
  struct Client {
    UniqueFd fd;
    admin::Operator who;
    std::string in;
    std::string out;
    bool closing = false;  // after what is unsent
  };

  AdminServer(EventLoop& loop, AdminServerConfig config, admin::Admin& admin);
  void on_accepted(UniqueFd fd);
  bool allowed(std::uint32_t uid) const;
  void on_ready(std::uint64_t id, std::uint32_t events, Instant now);
  bool read_some(std::uint64_t id, Instant now);
  void take_lines(std::uint64_t id, Instant now);
  void reply(std::uint64_t id, const std::string& line);
  bool flush(std::uint64_t id);
  void close(std::uint64_t id);

  EventLoop& loop_;
  AdminServerConfig config_;
  admin::Admin& admin_;
  std::unique_ptr<Acceptor> acceptor_;
  std::unordered_map<std::uint64_t, Client> clients_;
  std::uint64_t next_client_ = 1;
  std::uint64_t refused_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // late replies look here first
};

}  // namespace ifgw::adapters
