#include "tests/sim/sip_network.h"

#include <algorithm>

namespace ifgw::sip {

SipNetwork::Party& SipNetwork::add(const char* address, Limits limits) {
  Party& party = parties_.emplace_back();
  party.address = *Endpoint::parse(address);
  UserAgentConfig config;
  config.limits = limits;
  for (const Transport transport : {Transport::Udp, Transport::Tcp, Transport::Tls})
    config.addresses.push_back({transport, party.address.ip.text(), party.address.port, party.address});
  Randomness randomness;
  randomness.random = [this] { return random_(); };
  randomness.next_leg = [this] { return new_leg(); };
  party.ua = std::make_unique<UserAgent>(std::move(config), std::move(randomness));
  return party;
}

SipNetwork::Party* SipNetwork::party_at(const Endpoint& address) {
  for (Party& party : parties_) {
    if (party.address == address) return &party;
  }
  return nullptr;
}

void SipNetwork::launch(const Endpoint& from, const Endpoint& to, Transport transport, Wire bytes) {
  std::uniform_real_distribution<double> chance(0, 1);
  const auto delay = [this](Duration most) {
    return Duration(std::uniform_int_distribution<std::int64_t>(quality_.min_delay.count(), most.count())(random_));
  };
  // Streams are reliable and keep their order; only datagrams suffer.
  const bool suffers = transport == Transport::Udp;
  if (suffers && chance(random_) < quality_.loss) return;
  const int copies = suffers && chance(random_) < quality_.duplication ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    const Duration most = i > 0 && quality_.max_copy_delay > Duration{} ? quality_.max_copy_delay : quality_.max_delay;
    const Duration wait = suffers ? delay(most) : quality_.max_delay;
    flights_.push({now_ + wait, ++order_, from, to, transport, bytes});
  }
}

void SipNetwork::collect(Party& party) {
  Outputs outputs;
  party.ua->drain(outputs);
  for (OutboundMessage& message : outputs.messages) launch(party.address, message.destination, message.transport, message.bytes);
  party.wire.insert(party.wire.end(), outputs.wire.begin(), outputs.wire.end());
  for (core::LegEvent& event : outputs.events) {
    party.events.push_back(event);
    if (party.on_event) party.on_event(event);
  }
}

void SipNetwork::command(Party& party, const core::LegCommand& command) {
  party.ua->on_command(command, now_);
  collect(party);
}

void SipNetwork::send(const char* from, const Endpoint& to, std::string bytes, Transport transport) {
  launch(*Endpoint::parse(from), to, transport, std::make_shared<const std::string>(std::move(bytes)));
}

void SipNetwork::inject(Party& party, const char* from, const std::string& bytes, Transport transport) {
  InboundMessage message;
  message.transport = transport;
  message.source = *Endpoint::parse(from);
  message.local = party.address;
  message.connection = reliable(transport) ? 7 : 0;
  message.bytes = as_bytes(bytes);
  party.ua->on_message(message, now_);
  collect(party);
}

std::string SipNetwork::take(const char* address) {
  const Endpoint wanted = *Endpoint::parse(address);
  const auto found = std::find_if(arrived_.begin(), arrived_.end(), [&](const auto& item) { return item.first == wanted; });
  if (found == arrived_.end()) return {};
  std::string bytes = std::move(found->second);
  arrived_.erase(found);
  return bytes;
}

void SipNetwork::deliver(const Flight& flight) {
  ++delivered_;
  if (std::find(listening_.begin(), listening_.end(), flight.to) != listening_.end()) {
    arrived_.emplace_back(flight.to, *flight.bytes);
    return;
  }
  Party* party = party_at(flight.to);
  if (party == nullptr) return;
  InboundMessage message;
  message.transport = flight.transport;
  message.source = flight.from;
  message.local = flight.to;
  message.connection = reliable(flight.transport) ? 7 : 0;
  message.bytes = as_bytes(*flight.bytes);
  party->ua->on_message(message, now_);
  collect(*party);
}

void SipNetwork::run_for(Duration duration) {
  const Instant end = now_ + duration;
  for (;;) {
    Instant next = flights_.empty() ? kNever : flights_.top().at;
    for (const Party& party : parties_) next = std::min(next, party.ua->next_deadline());
    if (next > end) break;
    now_ = std::max(now_, next);
    while (!flights_.empty() && flights_.top().at <= now_) {
      const Flight flight = flights_.top();
      flights_.pop();
      deliver(flight);
    }
    for (Party& party : parties_) {
      if (party.ua->next_deadline() > now_) continue;
      party.ua->on_timer(now_);
      collect(party);
    }
  }
  now_ = end;
}

std::string sample_sdp(int port) {
  return "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio " + std::to_string(port) + " RTP/AVP 0\r\n";
}

}  // namespace ifgw::sip
