// Virtual time and a seeded bad network around real UserAgents. Deterministic: one seed, one run.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <queue>
#include <random>
#include <string>
#include <vector>

#include "controlplane/sip/user_agent.h"

namespace ifgw::sip {

struct NetworkQuality {
  double loss = 0;         // of every datagram
  double duplication = 0;  // of every datagram that was not lost
  Duration min_delay = std::chrono::milliseconds(5);
  Duration max_delay = std::chrono::milliseconds(5);  // above min_delay: messages overtake each other
  Duration max_copy_delay{};                          // a duplicate's delay is up to this; zero: that of any datagram
};

class SipNetwork {
 public:
  struct Party {
    Endpoint address;
    std::unique_ptr<UserAgent> ua;
    std::function<void(const core::LegEvent&)> on_event;  // core of this party; may call command()
    std::vector<core::LegEvent> events;
    std::vector<WireMessage> wire;
  };

  explicit SipNetwork(std::uint64_t seed, NetworkQuality quality = {}) : random_(seed), quality_(quality) {}

  // A party with a user agent listening at `address` for all three transports.
  Party& add(const char* address, Limits limits = {});
  // An address without a user agent: what is sent there can be read with take().
  void listen(const char* address) { listening_.push_back(*Endpoint::parse(address)); }

  Instant now() const { return now_; }
  NetworkQuality& quality() { return quality_; }
  core::LegKey new_leg() { return {++last_leg_}; }

  void command(Party& party, const core::LegCommand& command);
  // Puts a message on the network as if `from` had sent it; it arrives after the usual delay, or not.
  void send(const char* from, const Endpoint& to, std::string bytes, Transport transport = Transport::Udp);
  // Same, but at once and surely.
  void inject(Party& party, const char* from, const std::string& bytes, Transport transport = Transport::Udp);
  // The oldest message that arrived at a listen() address; empty when there is none.
  std::string take(const char* address);

  // Runs everything that happens up to `duration` from now.
  void run_for(Duration duration);
  std::uint64_t delivered() const { return delivered_; }

 private:
  struct Flight {
    Instant at;
    std::uint64_t order;
    Endpoint from, to;
    Transport transport;
    Wire bytes;
    bool operator<(const Flight& other) const { return at != other.at ? at > other.at : order > other.order; }
  };
  void launch(const Endpoint& from, const Endpoint& to, Transport transport, Wire bytes);
  void collect(Party& party);
  void deliver(const Flight& flight);
  Party* party_at(const Endpoint& address);

  std::mt19937_64 random_;
  NetworkQuality quality_;
  Instant now_ = from_ns(1'000'000'000);
  std::deque<Party> parties_;
  std::vector<Endpoint> listening_;
  std::deque<std::pair<Endpoint, std::string>> arrived_;
  std::priority_queue<Flight> flights_;
  std::uint64_t order_ = 0;
  std::uint64_t delivered_ = 0;
  std::uint64_t last_leg_ = 0;
};

// A session description that is good enough for a user agent that does not look into it.
std::string sample_sdp(int port);

}  // namespace ifgw::sip
